// Wrong kernels that meet at barriers and mbarriers, or fail to.
#include "emulator/defects.h"
#include "kernels/device/device.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

template <bool Right>
DOPPEL_GLOBAL((256), barrier_in_branch, float* out, const float* in) {
  if (Right || threadIdx.x < 32) __syncthreads();
  if (!Right && threadIdx.x >= 32) __syncthreads();  // <- barrier_in_branch
  out[threadIdx.x] = in[threadIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((256), left_before_barrier, float* out, const float* in) {
  if (!Right && threadIdx.x >= 40) return;
  __syncthreads();  // <- left_before_barrier
  out[threadIdx.x] = in[threadIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((256), shuffle_in_branch, float* out, const float* in) {
  float v = in[lane()];
  if (Right || lane() < 16) v = __shfl_xor_sync(kAllLanes, v, 1);  // <- shuffle_in_branch
  out[lane()] = v;
}

template <bool Right>
DOPPEL_GLOBAL((256), vote_meets_shuffle, float* out, const float* in) {
  float v = in[lane()];
  if (Right || lane() < 16)
    v = __shfl_xor_sync(kAllLanes, v, 1);
  else
    v = float(__ballot_sync(kAllLanes, v > 0));  // <- vote_meets_shuffle
  out[lane()] = v;
}

template <bool Right>
DOPPEL_GLOBAL((256), barrier_never_full, float* out, const float* in) {
  if (warp() == 0) barrier_sync(1, Right ? 32 : 64);  // <- barrier_never_full
  out[threadIdx.x] = in[threadIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((256), mbarrier_missing_arrival, float* out, const float* in) {
  DOPPEL_SHARED(MBarrier, full, [1]);
  if (threadIdx.x == 0) mbarrier_init(full[0], 32);
  __syncthreads();
  if (Right || lane() > 0) mbarrier_arrive(full[0]);
  mbarrier_wait(full[0], 0);  // <- mbarrier_missing_arrival
  out[lane()] = in[lane()];
}

template <bool Right>
DOPPEL_GLOBAL((256), mbarrier_not_made, float* out, const float* in) {
  DOPPEL_SHARED(MBarrier, full, [1]);
  if (Right && threadIdx.x == 0) mbarrier_init(full[0], 32);
  if (!Right && threadIdx.x == 0) full[0].state = 0;
  __syncthreads();
  mbarrier_arrive(full[0]);  // <- mbarrier_not_made
  mbarrier_wait(full[0], 0);
  out[lane()] = in[lane()];
}

template <bool Right>
DOPPEL_GLOBAL((256), not_in_mask, float* out, const float* in) {
  out[lane()] = __shfl_xor_sync(Right ? kAllLanes : 0x7FFFFFFFu, in[lane()], 1);  // <- not_in_mask
}

}  // namespace

std::vector<Planted> planted_barriers() {
  return {
      DOPPEL_PLANT(barrier_in_branch, Defect::divergent_barrier, false, 1, 64, 0),
      DOPPEL_PLANT(left_before_barrier, Defect::divergent_barrier, true, 1, 64, 0),
      DOPPEL_PLANT(shuffle_in_branch, Defect::divergent_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(vote_meets_shuffle, Defect::divergent_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(barrier_never_full, Defect::deadlock, false, 1, 64, 0),
      DOPPEL_PLANT(mbarrier_missing_arrival, Defect::deadlock, false, 1, 32, 0),
      DOPPEL_PLANT(mbarrier_not_made, Defect::bad_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(not_in_mask, Defect::bad_barrier, false, 1, 32, 0),
  };
}

}  // namespace doppel::testing
