// Wrong kernels that do not wait for those launched before them (kernels/device/early_start.h).
#include "emulator/defects.h"
#include "kernels/device/device.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

template <bool Right>
DOPPEL_GLOBAL((64), reads_too_early, float* out, const float* in) {
  if (Right) wait_for_earlier_kernels();
  const float v = in[threadIdx.x];  // <- reads_too_early
  wait_for_earlier_kernels();
  out[threadIdx.x] = v;
}

// A barrier does not wait for other kernels, even where other threads have.
template <bool Right>
DOPPEL_GLOBAL((64), one_warp_waits, float* out, const float*) {
  if (Right || warp() == 0) wait_for_earlier_kernels();
  __syncthreads();
  out[threadIdx.x] = 1;  // <- one_warp_waits
  wait_for_earlier_kernels();
}

template <bool Right>
DOPPEL_GLOBAL((64), copies_too_early, float* out, const float* in) {
  DOPPEL_SHARED(float4, stage, [64]);
  if (Right) wait_for_earlier_kernels();
  copy_async<16>(&stage[threadIdx.x], in + 4 * threadIdx.x);  // <- copies_too_early
  wait_for_earlier_kernels();
  copy_async_commit();
  copy_async_wait<0>();
  out[threadIdx.x] = stage[threadIdx.x].x;
}

}  // namespace

std::vector<Planted> planted_early() {
  return {
      DOPPEL_PLANT(reads_too_early, Defect::too_early, true, 1, 64, 0),
      DOPPEL_PLANT(one_warp_waits, Defect::too_early, true, 1, 64, 0),
      DOPPEL_PLANT(copies_too_early, Defect::too_early, true, 1, 64, 0),
  };
}

// Nothing of memory, and no wait: the next kernel would take those before this one for done.
DOPPEL_GLOBAL((32), waits_on_some_ways, bool waits) {
  if (waits || threadIdx.x != 7) wait_for_earlier_kernels();
}

void leave_without_waiting(bool waits, Stream stream) {
  DOPPEL_KERNEL(waits_on_some_ways).launch({1, 32}, waits, stream);
}

}  // namespace doppel::testing
