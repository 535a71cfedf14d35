// RMS normalisation on the CPU: rows over the cores.
#include <algorithm>

#include "kernels/parallel.h"
#include "kernels/rms_norm.h"

namespace doppel::on_cpu {
namespace {

// Rows that are worth a core's while.
int64_t grain(const RmsNorm& n) {
  return std::max<int64_t>(1, (1 << 13) / n.width);
}

template <typename T>
void forward(T* y, const T* x, const RmsNorm& n) {
  parallel_for(n.rows, grain(n), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* in = x + row * n.width;
      T* out = y + row * n.width;
      float squares = 0;
#pragma omp simd reduction(+ : squares)
      for (int i = 0; i < n.width; ++i) squares += to_float(in[i]) * to_float(in[i]);
      const float r = inverse_rms(squares, n);
#pragma omp simd
      for (int i = 0; i < n.width; ++i) out[i] = from_float<T>(r * to_float(in[i]));
    }
  });
}

template <typename T>
void backward(T* dx, const T* dy, const T* x, const RmsNorm& n) {
  parallel_for(n.rows, grain(n), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T *in = x + row * n.width, *g = dy + row * n.width;
      T* out = dx + row * n.width;
      float squares = 0, product = 0;
#pragma omp simd reduction(+ : squares, product)
      for (int i = 0; i < n.width; ++i) {
        squares += to_float(in[i]) * to_float(in[i]);
        product += to_float(g[i]) * to_float(in[i]);
      }
      const float r = inverse_rms(squares, n), k = r * r * (product / float(n.width));
#pragma omp simd
      for (int i = 0; i < n.width; ++i) out[i] = from_float<T>(r * (to_float(g[i]) - k * to_float(in[i])));
    }
  });
}

}  // namespace

void rms_norm_forward(void* y, const void* x, const RmsNorm& n, Stream) {
  if (n.type == DType::bf16)
    forward(static_cast<Bf16*>(y), static_cast<const Bf16*>(x), n);
  else
    forward(static_cast<float*>(y), static_cast<const float*>(x), n);
}

void rms_norm_backward(void* dx, const void* dy, const void* x, const RmsNorm& n, Stream) {
  if (n.type == DType::bf16)
    backward(static_cast<Bf16*>(dx), static_cast<const Bf16*>(dy), static_cast<const Bf16*>(x), n);
  else
    backward(static_cast<float*>(dx), static_cast<const float*>(dy), static_cast<const float*>(x), n);
}

}  // namespace doppel::on_cpu
