// Colour statistics and transfer on the card. The sums are double, taken in fixed steps: a thread's pixels in order, a
// block's threads, the blocks.
#include "kernels/device/device.h"
#include "kernels/device/device_value.h"
#include "kernels/device/reduce.h"
#include "kernels/frame.h"
#include "kernels/frame_math.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 4;
constexpr int kMaxParts = 64;

struct Parts {
  ColourSums pass[2][kMaxParts];
};

// The parts' sum, in order.
DOPPEL_BOTH inline ColourSums sum_of(const ColourSums* parts, int count) {
  ColourSums all{};
  for (int i = 0; i < count; ++i) add_sums(all, parts[i]);
  return all;
}

// ---- kernels --------------------------------------------------------------------------------------------------------

// parts->pass[Pass][block] = the sums over the block's range of pixels; in the second pass only over pixels near the
// mean that the first pass found.
template <int Pass>
DOPPEL_GLOBAL((kThreads), colour_sums, Parts* parts, const float* image, const float* mask, int64_t pixels) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED(ColourMoments, moments, [1]);
  if constexpr (Pass == 1) {
    if (threadIdx.x == 0) moments[0] = colour_moments(sum_of(parts->pass[0], int(gridDim.x)));
    __syncthreads();
  }
  const int64_t begin = pixels * blockIdx.x / gridDim.x, end = pixels * (blockIdx.x + 1) / gridDim.x;
  ColourSums s{};
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const double w = double(mask[i]);
    if (!(w > 0)) continue;
    const Ycc v = rgb_to_ycc(image[3 * i], image[3 * i + 1], image[3 * i + 2]);
    if (Pass == 1 && is_far(v, moments[0])) continue;
    add_colour(s, w, v);
  }
  s.weight = block_sum<kThreads>(s.weight);
  for (int c = 0; c < 3; ++c) {
    s.sum[c] = block_sum<kThreads>(s.sum[c]);
    s.squares[c] = block_sum<kThreads>(s.squares[c]);
  }
  if (threadIdx.x == 0) parts->pass[Pass][blockIdx.x] = s;
}

DOPPEL_GLOBAL((kThreads), apply_kernel, float* image, int64_t pixels, ColourMap map) {
  wait_for_earlier_kernels();
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= pixels) return;
  float* p = image + 3 * i;
  const Rgb v = map_colour(map, {p[0], p[1], p[2]});
  p[0] = v.r;
  p[1] = v.g;
  p[2] = v.b;
}

}  // namespace

// ---- launchers ------------------------------------------------------------------------------------------------------

ColourStats colour_stats(const float* image, const float* mask, int64_t pixels, Stream stream) {
  if (pixels <= 0) return {};
  const unsigned count = blocks_for(pixels, kThreads * kPerThread, kMaxParts);
  DeviceValue<Parts> device(Parts{}, stream);
  DOPPEL_KERNEL(colour_sums<0>).launch({count, kThreads}, device.pointer(), image, mask, pixels, stream);
  DOPPEL_KERNEL(colour_sums<1>).launch({count, kThreads}, device.pointer(), image, mask, pixels, stream);
  const Parts parts = device.get();
  return colour_stats_of(sum_of(parts.pass[0], int(count)), sum_of(parts.pass[1], int(count)));
}

void apply_colour(float* image, int64_t pixels, const ColourMap& map, Stream stream) {
  if (pixels <= 0) return;
  DOPPEL_KERNEL(apply_kernel).launch({blocks_for(pixels, kThreads), kThreads}, image, pixels, map, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
