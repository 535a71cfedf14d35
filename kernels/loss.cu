// The pointwise losses: value and gradient in one sweep, bound by memory (8 bytes read and 4 written an element). The
// sum is taken in fixed steps: a thread's elements in order, a block's threads, the blocks; the number of blocks
// depends on the shape alone.
#include "kernels/loss.h"

#include "kernels/device/device.h"
#include "kernels/device/reduce.h"
#include "kernels/loss_math.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 4;
constexpr int kMaxParts = 1024;

int64_t elements(const LossShape& s) {
  return int64_t(s.n) * s.h * s.w * s.c;
}
unsigned parts_of(const LossShape& s) {
  return blocks_for(elements(s), kThreads * kPerThread, kMaxParts);
}

// ---- kernels --------------------------------------------------------------------------------------------------------

// partial[block] = the weighted sum of Loss::error over the block's range of elements.
template <typename Loss>
DOPPEL_GLOBAL((kThreads), pointwise_kernel, double* partial, float* dy, const float* y, const float* t,
              const float* mask, LossShape s, float scale, bool accumulate) {
  wait_for_earlier_kernels();
  const int64_t count = int64_t(s.n) * s.h * s.w * s.c;
  const int64_t begin = count * blockIdx.x / gridDim.x, end = count * (blockIdx.x + 1) / gridDim.x;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    float w = 1;
    if (mask || s.focus > 0) {
      const int64_t pixel = i / s.c, row = pixel / s.w;
      w = position_weight(mask, s, row / s.h, int(row % s.h), int(pixel % s.w));
    }
    const float d = y[i] - t[i], slope = scale * w * Loss::slope(d);
    sum += double(w * Loss::error(d));
    dy[i] = accumulate ? dy[i] + slope : slope;
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

DOPPEL_GLOBAL((kThreads), mean_kernel, float* mean, const double* partial, int parts, double count) {
  wait_for_earlier_kernels();
  double sum = 0;
  for (int i = int(threadIdx.x); i < parts; i += kThreads) sum += partial[i];
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) mean[0] = float(sum / count);
}

DOPPEL_GLOBAL((1), total_kernel, float* losses, float l1, float mse, float dssim) {
  wait_for_earlier_kernels();
  if (!(mse > 0)) losses[2] = 0;
  if (!(dssim > 0)) losses[3] = 0;
  losses[0] = l1 * losses[1] + mse * losses[2] + dssim * losses[3];
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <typename Loss>
void launch_pointwise(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& s,
                      float weight, bool accumulate, void* workspace, Stream stream) {
  double* partial = static_cast<double*>(workspace);
  const unsigned parts = parts_of(s);
  const double count = double(elements(s));
  DOPPEL_KERNEL(pointwise_kernel<Loss>)
      .launch({parts, kThreads}, partial, dy, y, t, mask, s, float(weight / count), accumulate, stream);
  DOPPEL_KERNEL(mean_kernel).launch({1, kThreads}, loss, partial, int(parts), count, stream);
}

}  // namespace

size_t pointwise_loss_workspace(const LossShape& shape, Stream) {
  return parts_of(shape) * sizeof(double);
}

void l1_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
             float weight, bool accumulate, void* workspace, Stream stream) {
  launch_pointwise<AbsoluteError>(loss, dy, y, t, mask, shape, weight, accumulate, workspace, stream);
}

void mse_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
              float weight, bool accumulate, void* workspace, Stream stream) {
  launch_pointwise<SquaredError>(loss, dy, y, t, mask, shape, weight, accumulate, workspace, stream);
}

void total_loss(float* losses, float l1, float mse, float dssim, Stream stream) {
  DOPPEL_KERNEL(total_kernel).launch({1, 1}, losses, l1, mse, dssim, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
