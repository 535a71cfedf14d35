// The epilogue of one output of a convolution, for the kernels: where an element of z goes in y, and bias, activation
// and rounding on its way there.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {

// The index in y of z[n, p, q, k]. With the shuffle (kernels/pixel_shuffle.h) a pixel's K channels are two runs of K/2,
// one for each of the rows 2p and 2p + 1 of y: so channels that are neighbours within a run stay neighbours. Who knows
// only n P + p gives it as p, and 0 as n.
__device__ __forceinline__ int64_t output_offset(const Conv2d& conv, bool shuffle, int n, int p, int q, int k) {
  const int64_t row = int64_t(n) * conv.out_h() + p, width = conv.out_w();
  if (!shuffle) return (row * width + q) * conv.k + k;
  const int run = conv.k / 2, i = k >= run;
  return ((2 * row + i) * width + q) * run + k - i * run;
}

// How many neighbouring channels of z, from a multiple of it on, are neighbours in y as well, and may be stored as one
// vector of out_type when y is aligned: 4, 2 or 1.
DOPPEL_BOTH inline int output_vector(const Conv2d& conv, bool shuffle) {
  const int run = shuffle ? conv.k / 2 : conv.k;
  return run % 4 == 0 ? 4 : run % 2 == 0 ? 2 : 1;
}

// f(z) of a z that has its bias, for any f but x cos x: the kernels of the products store one tensor, and their code,
// unrolled over a tile, would be several times as long with a cosine.
__device__ __forceinline__ float finish_output(float z, const Epilogue& epilogue) {
  if (epilogue.activation == Activation::leaky_relu) return activate(Activation::leaky_relu, z, epilogue.slope);
  return epilogue.activation == Activation::sigmoid ? activate(Activation::sigmoid, z, 0) : z;
}

// y[at] = value, rounded to `type`.
__device__ __forceinline__ void store_output(void* y, int64_t at, float value, DType type) {
  if (type == DType::bf16)
    static_cast<Bf16*>(y)[at] = to_bf16(value);
  else
    static_cast<float*>(y)[at] = value;
}

// y[at], y[at + 1], in one store: `at` is even, and y aligned to two elements.
__device__ __forceinline__ void store_output_pair(void* y, int64_t at, float first, float second, DType type) {
  if (type == DType::bf16)
    store_vector(static_cast<Bf16*>(y) + at, to_bf16x2(first, second));
  else
    store_vector(static_cast<float*>(y) + at, make_float2(first, second));
}

// y[at .. at + 3] in one store: `at` is a multiple of 4, and y aligned to four elements.
__device__ __forceinline__ void store_output_quad(void* y, int64_t at, const Vector<float, 4>& values, DType type) {
  if (type == DType::bf16) {
    const Bf16x2 low = to_bf16x2(values.v[0], values.v[1]), high = to_bf16x2(values.v[2], values.v[3]);
    store_vector(static_cast<Bf16*>(y) + at, Vector<Bf16, 4>{{low.x, low.y, high.x, high.y}});
  } else {
    store_vector(static_cast<float*>(y) + at, values);
  }
}

}  // namespace doppel::DOPPEL_BACKEND
