// RMS normalisation on the card: a block a row, two sweeps over it, the second from the cache. Bound by memory.
#include "kernels/rms_norm.h"

#include "kernels/device/device.h"
#include "kernels/device/reduce.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;

// ---- kernels --------------------------------------------------------------------------------------------------------

// A thread reads and writes the same elements in both sweeps, so y may be x.
template <typename T>
DOPPEL_GLOBAL((kThreads), forward_kernel, T* y, const T* x, RmsNorm n) {
  wait_for_earlier_kernels();
  const int64_t row = int64_t(blockIdx.x) * n.width;
  float squares = 0;
  for (int i = int(threadIdx.x); i < n.width; i += kThreads) {
    const float v = to_float(x[row + i]);
    squares += v * v;
  }
  const float r = inverse_rms(block_sum<kThreads>(squares), n);
  for (int i = int(threadIdx.x); i < n.width; i += kThreads) y[row + i] = from_float<T>(r * to_float(x[row + i]));
}

template <typename T>
DOPPEL_GLOBAL((kThreads), backward_kernel, T* dx, const T* dy, const T* x, RmsNorm n) {
  wait_for_earlier_kernels();
  const int64_t row = int64_t(blockIdx.x) * n.width;
  float squares = 0, product = 0;
  for (int i = int(threadIdx.x); i < n.width; i += kThreads) {
    const float v = to_float(x[row + i]);
    squares += v * v;
    product += to_float(dy[row + i]) * v;
  }
  const float r = inverse_rms(block_sum<kThreads>(squares), n);
  const float k = r * r * (block_sum<kThreads>(product) / float(n.width));
  for (int i = int(threadIdx.x); i < n.width; i += kThreads)
    dx[row + i] = from_float<T>(r * (to_float(dy[row + i]) - k * to_float(x[row + i])));
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <typename T>
void launch_forward(void* y, const void* x, const RmsNorm& n, Stream stream) {
  DOPPEL_KERNEL(forward_kernel<T>)
      .launch({unsigned(n.rows), kThreads}, static_cast<T*>(y), static_cast<const T*>(x), n, stream);
}

template <typename T>
void launch_backward(void* dx, const void* dy, const void* x, const RmsNorm& n, Stream stream) {
  DOPPEL_KERNEL(backward_kernel<T>)
      .launch({unsigned(n.rows), kThreads}, static_cast<T*>(dx), static_cast<const T*>(dy), static_cast<const T*>(x), n,
              stream);
}

}  // namespace

void rms_norm_forward(void* y, const void* x, const RmsNorm& n, Stream stream) {
  if (n.rows == 0) return;
  if (n.type == DType::bf16)
    launch_forward<Bf16>(y, x, n, stream);
  else
    launch_forward<float>(y, x, n, stream);
}

void rms_norm_backward(void* dx, const void* dy, const void* x, const RmsNorm& n, Stream stream) {
  if (n.rows == 0) return;
  if (n.type == DType::bf16)
    launch_backward<Bf16>(dx, dy, x, n, stream);
  else
    launch_backward<float>(dx, dy, x, n, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
