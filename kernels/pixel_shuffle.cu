// The pixel shuffle moves runs of 2C elements (kernels/pixel_shuffle.h); the kernels move them in the largest unit, up
// to 16 bytes, that divides a run and fits the pointers.
#include "kernels/pixel_shuffle.h"

#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;

// ---- kernels --------------------------------------------------------------------------------------------------------

// One unit a thread, in the order of the large picture: row 2r + i holds, for each w, the i-th run of small pixel
// (r, w). `units` of them altogether, `run` in a run, `width` small pixels in a row.
template <bool Forward, typename Unit>
DOPPEL_GLOBAL((kThreads), shuffle, Unit* out, const Unit* in, int64_t units, int run, int width) {
  wait_for_earlier_kernels();
  const int64_t large = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (large >= units) return;
  const int64_t pixel = large / run, row = pixel / width;
  const int64_t w = pixel % width, i = row % 2;
  const int64_t small = ((row / 2 * width + w) * 2 + i) * run + large % run;
  if constexpr (Forward)
    out[large] = in[small];
  else
    out[small] = in[large];
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <bool Forward>
void launch_shuffle(void* out, const void* in, const PixelShuffle& p, Stream stream) {
  const int64_t run = int64_t(2) * p.c * int64_t(size_of(p.type)), bytes = int64_t(p.n) * p.h * p.w * 2 * run;
  if (bytes == 0) return;
  const auto fits = [&]<typename Unit>(Unit) {
    if (run % int64_t(sizeof(Unit)) != 0 || !is_aligned<Unit>(out) || !is_aligned<Unit>(in)) return false;
    const int64_t units = bytes / int64_t(sizeof(Unit));
    DOPPEL_KERNEL(shuffle<Forward, Unit>)
        .launch({blocks_for(units, kThreads), kThreads}, static_cast<Unit*>(out), static_cast<const Unit*>(in), units,
                int(run / int64_t(sizeof(Unit))), p.w, stream);
    return true;
  };
  fits(uint4{}) || fits(uint2{}) || fits(uint32_t{}) || fits(uint16_t{}) || fits(uint8_t{});
}

}  // namespace

void pixel_shuffle_forward(void* y, const void* x, const PixelShuffle& p, Stream stream) {
  launch_shuffle<true>(y, x, p, stream);
}

void pixel_shuffle_backward(void* dx, const void* dy, const PixelShuffle& p, Stream stream) {
  launch_shuffle<false>(dx, dy, p, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
