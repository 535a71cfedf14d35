// The patch of x under a rectangle of output pixels, from at most 4 channels: from global memory to registers, ahead,
// and from there to shared memory, each pixel padded to 4 channels. Private to kernels/conv2d_ends_few_inputs*.cu.
#pragma once

#include "kernels/conv2d_ends_plan.h"
#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {

// Four channels of a pixel: two registers of a fragment.
using PixelQuad = uint2;

// A rectangle of output pixels.
struct Rectangle {
  int n, p, q;  // picture, first row and column

  __device__ __forceinline__ Rectangle(int number, int across, int down, int rows, int columns) {
    const int line = number / across;
    n = line / down;
    p = line % down * rows;
    q = number % across * columns;
  }
};

// Threads load a pixel each at a time; the first `Ahead` of a thread wait in registers between load() and store().
template <int Threads, int Ahead>
class PatchLoader {
 public:
  // `quads`: pixels are 4 channels and may be loaded as one.
  __device__ __forceinline__ PatchLoader(const Bf16* x, const Conv2d& v, const Patch& patch, bool quads)
      : x_(x), v_(v), patch_(patch), quads_(quads) {}

  __device__ __forceinline__ void load(const Rectangle& at) {
    top_ = at.p * v_.stride - v_.pad_top;
    left_ = at.q * v_.stride - v_.pad_left;
    picture_ = x_ + int64_t(at.n) * (v_.h * v_.w * v_.c);
#pragma unroll
    for (int i = 0; i < Ahead; ++i) ahead_[i] = load_pixel(int(threadIdx.x) + i * Threads);
  }
  // put(row, column, pixel) for all pixels of the rectangle that was loaded.
  template <typename Put>
  __device__ __forceinline__ void store(Put&& put) const {
    const auto one = [&](int pixel, const PixelQuad& v) {
      const int row = patch_.row_of(pixel);
      put(row, pixel - row * patch_.width, v);
    };
#pragma unroll
    for (int i = 0; i < Ahead; ++i)
      if (const int pixel = int(threadIdx.x) + i * Threads; pixel < patch_.pixels()) one(pixel, ahead_[i]);
#pragma unroll 1
    for (int pixel = int(threadIdx.x) + Ahead * Threads; pixel < patch_.pixels(); pixel += Threads)
      one(pixel, load_pixel(pixel));
  }

 private:
  // Zeros outside the picture, behind the last channel, and for a pixel behind the patch's last.
  __device__ __forceinline__ PixelQuad load_pixel(int pixel) const {
    const int row = patch_.row_of(pixel), i = top_ + row, j = left_ + pixel - row * patch_.width;
    const bool inside = pixel < patch_.pixels() && unsigned(i) < unsigned(v_.h) && unsigned(j) < unsigned(v_.w);
    const Bf16* const from = picture_ + (i * v_.w + j) * v_.c;
    PixelQuad quad = make_uint2(0, 0);
    if (quads_) {
      if (inside) quad = load_vector<PixelQuad>(from);
      return quad;
    }
    uint32_t bits[kMostFew] = {};
#pragma unroll
    for (int c = 0; c < kMostFew; ++c)
      if (inside && c < v_.c) bits[c] = from[c].bits;
    quad.x = bits[0] | bits[1] << 16, quad.y = bits[2] | bits[3] << 16;
    return quad;
  }

  const Bf16* x_;
  const Conv2d& v_;
  const Patch& patch_;
  bool quads_;
  int top_ = 0, left_ = 0;
  const Bf16* picture_ = nullptr;
  PixelQuad ahead_[Ahead];
};

}  // namespace doppel::DOPPEL_BACKEND
