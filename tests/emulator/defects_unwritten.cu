// Wrong kernels that read global memory which holds nothing yet.
#include "emulator/defects.h"
#include "kernels/device/device.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

// A gradient that is to be set, and is added up.
template <bool Right>
DOPPEL_GLOBAL((64), adds_to_nothing, float* out, const float* in, float* fresh) {
  const int i = int(blockIdx.x * 64 + threadIdx.x);
  if (Right)
    fresh[i] = in[i];
  else
    fresh[i] += in[i];  // <- adds_to_nothing
  out[i] = 0;
}

template <bool Right>
DOPPEL_GLOBAL((64), atomic_on_nothing, float* out, const float* in, float* fresh) {
  if (Right && threadIdx.x == 0) fresh[0] = 0;
  __syncthreads();
  atomicAdd(fresh, in[threadIdx.x]);  // <- atomic_on_nothing
  out[threadIdx.x] = 0;
}

// The last of what another block is to leave for this launch's only one.
template <bool Right>
DOPPEL_GLOBAL((64), input_of_nothing, float* out, const float* in, const float* fresh) {
  const float* from = Right ? in : fresh;
  if (threadIdx.x == 63) out[0] = from[Ground::kSize - 1];  // <- input_of_nothing
}

template <bool Right>
DOPPEL_GLOBAL((64), copies_nothing, float* out, const float* in, const float* fresh) {
  DOPPEL_SHARED(float4, tile, [16]);
  if (threadIdx.x >= 16) return;
  copy_async<16>(&tile[threadIdx.x], (Right ? in : fresh) + 4 * threadIdx.x);  // <- copies_nothing
  copy_async_commit();
  copy_async_wait<0>();
  out[threadIdx.x] = tile[threadIdx.x].x;
}

// A workspace of which the last element was not filled.
template <bool Right>
DOPPEL_GLOBAL((64), workspace_not_full, float* out, const float* in, float* fresh) {
  if (threadIdx.x < (Right ? 64 : 63)) fresh[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < 64; ++i) sum += fresh[i];  // <- workspace_not_full
  out[threadIdx.x] = sum;
}

// It is written, but not before: a race, whoever comes first.
template <bool Right>
DOPPEL_GLOBAL((64), written_too_late, float* out, const float* in, float* fresh) {
  const auto touch = [=](bool write) { return write ? fresh[0] = in[0] : fresh[0]; };  // <- written_too_late
  if (threadIdx.x == 63) touch(true);
  if (Right) __syncthreads();
  if (threadIdx.x != 63) out[threadIdx.x] = touch(false);
}

}  // namespace

std::vector<Planted> planted_unwritten() {
  return {
      DOPPEL_PLANT(adds_to_nothing, Defect::uninitialised_global, true, 2, 64, 0, g.fresh),
      DOPPEL_PLANT(atomic_on_nothing, Defect::uninitialised_global, true, 1, 64, 0, g.fresh),
      DOPPEL_PLANT(input_of_nothing, Defect::uninitialised_global, true, 1, 64, 0, g.fresh),
      DOPPEL_PLANT(copies_nothing, Defect::uninitialised_global, true, 1, 64, 0, g.fresh),
      DOPPEL_PLANT(workspace_not_full, Defect::uninitialised_global, true, 1, 64, 0, g.fresh),
      DOPPEL_PLANT(written_too_late, Defect::global_race, true, 1, 64, 0, g.fresh),
  };
}

}  // namespace doppel::testing
