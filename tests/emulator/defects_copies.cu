// Wrong kernels with asynchronous copies into shared memory.
#include "emulator/defects.h"
#include "kernels/device/device.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

template <bool Right>
DOPPEL_GLOBAL((256), copy_without_wait, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  copy_async<4>(&tile[lane()], in + lane());
  copy_async_commit();
  if (Right) copy_async_wait<0>();
  out[lane()] = tile[lane()];  // <- copy_without_wait
}

// Two groups under way, and the wait lets one more go on than it may.
template <bool Right>
DOPPEL_GLOBAL((256), one_group_too_few, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [2][32]);
  for (int i = 0; i < 2; ++i) {
    copy_async<4>(&tile[i][lane()], in + 32 * i + lane());
    copy_async_commit();
  }
  copy_async_wait<Right ? 1 : 2>();
  out[lane()] = tile[0][lane()];  // <- one_group_too_few
}

// The wait is for the thread's own copies; those of others take a barrier after it.
template <bool Right>
DOPPEL_GLOBAL((256), barrier_before_wait, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  copy_async<4>(&tile[lane()], in + lane());
  copy_async_commit();
  if (!Right) __syncthreads();
  copy_async_wait<0>();
  if (Right) __syncthreads();
  out[lane()] = tile[lane() ^ 1];  // <- barrier_before_wait
}

// The next copy is issued while others still read.
template <bool Right>
DOPPEL_GLOBAL((256), copy_over_readers, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  float sum = 0;
  for (int i = 0; i < 2; ++i) {
    copy_async<4>(&tile[lane()], in + 32 * i + lane());  // <- copy_over_readers
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    sum += tile[lane() ^ 1];
    if (Right) __syncthreads();
  }
  out[lane()] = sum;
}

}  // namespace

std::vector<Planted> planted_copies() {
  return {
      DOPPEL_PLANT(copy_without_wait, Defect::copy_not_waited_for, true, 1, 32, 0),
      DOPPEL_PLANT(one_group_too_few, Defect::copy_not_waited_for, true, 1, 32, 0),
      DOPPEL_PLANT(barrier_before_wait, Defect::copy_not_waited_for, true, 1, 32, 0),
      DOPPEL_PLANT(copy_over_readers, Defect::shared_race, true, 1, 32, 0),
  };
}

}  // namespace doppel::testing
