// Who fills the stages of kernels/conv2d_mma_tile.h: the implicit matrices of
// the three passes, 16 bytes (8 channels of one pixel or weight) at a time.
// What lies outside is written as zeros. All copies of a step by one thread lie
// in the same column of units, so that per step only the place of the tap and
// of the channels changes, not each row's.
#pragma once

#include "kernels/conv2d_mma_tile.h"

namespace doppel::DOPPEL_BACKEND {

// kernels/conv2d.h, with z [n, p, q, k].
struct ConvShape {
  int n, h, w, c, k, r, s, stride, pad_top, pad_left, p, q;
  int filter;  // elements of one output channel's filter, r s c
  int64_t weight_stride, bias_stride;

  DOPPEL_BOTH int64_t in_elements() const { return int64_t(n) * h * w * c; }
  DOPPEL_BOTH int64_t out_elements() const { return int64_t(n) * p * q * k; }
};

DOPPEL_BOTH inline int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}

// The sum over filter taps and channels, 32 channels of one tap a step, channels fastest. Taps are (r, s) from
// (first_r, first_s) on, every `stride`-th (1 or 2) of `columns` in a row, the first one below the
// stride; there must be one, but step 0 may be where none is.
struct TapWalk {
  int stride, columns, channels;
  int r, s, c;  // of the next step

  __device__ __forceinline__ TapWalk(int from_r, int from_s, int every, int of_columns, int of_channels, int step)
      : stride(every), columns(of_columns), channels(of_channels) {
    const int per_tap = ceil_div(channels, kMmaStep), tap = step / per_tap;
    const int in_row = from_s < columns ? ceil_div(columns - from_s, stride) : 1;
    c = step % per_tap * kMmaStep;
    r = from_r + tap / in_row * stride;
    s = from_s + tap % in_row * stride;
  }
  __device__ __forceinline__ void next() {
    if ((c += kMmaStep) < channels) return;
    c = 0;
    if ((s += stride) < columns) return;
    s &= stride - 1;  // back to the first
    r += stride;
  }
};

// Pictures [n, height, width, channels].
struct Pictures {
  const Bf16* data;
  int height, width, channels;
};

// Rows of A along k: row m is the pixel that the first tap of result m sees; a
// tap moves all of them alike.
template <typename T>
class PixelRows {
  static constexpr int kUnitsOfRow = kMmaStep / kUnit, kStride = T::kThreads / kUnitsOfRow, kRows = T::kM / kStride;
  static_assert(kStride % 8 == 0, "the swizzle of a thread's rows is one");

 public:
  // place(row, image, y, x) says where a row's pixel is, and is false for a row
  // of no result.
  template <typename Place>
  __device__ __forceinline__ PixelRows(const Pictures& in, Place&& place) : in_(in) {
    const int row = int(threadIdx.x) / kUnitsOfRow, unit = int(threadIdx.x) % kUnitsOfRow;
    to_ = unit_offset<kUnitsOfRow>(row, unit);
    channel_ = unit * kUnit;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      int image = 0;
      y_[i] = x_[i] = 0;
      const bool some = place(row + i * kStride, image, y_[i], x_[i]);
      from_[i] = ((image * in.height + y_[i]) * in.width + x_[i]) * in.channels;
      if (!some) y_[i] = -(1 << 30);  // above every picture, whatever the tap
    }
  }

  // The step that sees pixel (+dy, +dx) and channels from `channel` on.
  __device__ __forceinline__ void load(unsigned char* tile, int dy, int dx, int channel) const {
    const int c = channel + channel_, move = (dy * in_.width + dx) * in_.channels + c;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const bool inside =
          unsigned(y_[i] + dy) < unsigned(in_.height) && unsigned(x_[i] + dx) < unsigned(in_.width) && c < in_.channels;
      copy_async<16>(tile + to_ + i * kStride * kUnitsOfRow * 16, in_.data + from_[i] + move, inside ? 16 : 0);
    }
  }

 private:
  Pictures in_;
  int to_, channel_;
  int y_[kRows], x_[kRows], from_[kRows];
};

// Rows of B along k (fprop): row n is the filter of output channel n, its
// channels of one tap a step.
template <typename T>
class FilterRows {
  static constexpr int kUnitsOfRow = kMmaStep / kUnit, kStride = T::kThreads / kUnitsOfRow, kRows = T::kN / kStride;

 public:
  __device__ __forceinline__ FilterRows(const Bf16* w, const ConvShape& v, int first) : w_(w), v_(v) {
    const int row = int(threadIdx.x) / kUnitsOfRow, unit = int(threadIdx.x) % kUnitsOfRow;
    to_ = unit_offset<kUnitsOfRow>(row, unit);
    channel_ = unit * kUnit;
    rows_ = v.k - first - row;
    from_ = (first + row) * v.filter + channel_;
  }

  __device__ __forceinline__ void load(unsigned char* tile, int r, int s, int channel) const {
    const int from = from_ + (r * v_.s + s) * v_.c + channel;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const bool inside = i * kStride < rows_ && channel + channel_ < v_.c;
      copy_async<16>(tile + to_ + i * kStride * kUnitsOfRow * 16, w_ + from + i * kStride * v_.filter, inside ? 16 : 0);
    }
  }

 private:
  const Bf16* w_;
  const ConvShape& v_;
  int to_, channel_, rows_, from_;
};

// B across k (dgrad): row j of a step is output channel `channel + j` of one
// tap, its columns the input channels.
template <typename T>
class FilterColumns {
  static constexpr int kUnitsOfRow = T::kN / kUnit, kStride = T::kThreads / kUnitsOfRow, kRows = kMmaStep / kStride;
  static_assert(kStride % 8 == 0);

 public:
  __device__ __forceinline__ FilterColumns(const Bf16* w, const ConvShape& v, int first) : w_(w), v_(v) {
    row_ = int(threadIdx.x) / kUnitsOfRow;
    const int unit = int(threadIdx.x) % kUnitsOfRow;
    to_ = unit_offset<kUnitsOfRow>(row_, unit);
    c_ = first + unit * kUnit;
  }

  __device__ __forceinline__ void load(unsigned char* tile, int r, int s, int channel) const {
    const int k = channel + row_, from = k * v_.filter + (r * v_.s + s) * v_.c + c_;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const bool inside = k + i * kStride < v_.k && c_ < v_.c;
      copy_async<16>(tile + to_ + i * kStride * kUnitsOfRow * 16, w_ + from + i * kStride * v_.filter, inside ? 16 : 0);
    }
  }

 private:
  const Bf16* w_;
  const ConvShape& v_;
  int to_, row_, c_;
};

// A across k (wgrad): row j of a step is output pixel m + j, its columns the
// output channels.
template <typename T>
class OutputPixels {
  static constexpr int kUnitsOfRow = T::kM / kUnit, kStride = T::kThreads / kUnitsOfRow, kRows = kMmaStep / kStride;
  static_assert(kStride % 8 == 0);

 public:
  // Pixels `begin` to `end` of dz, output channels from `first` on.
  __device__ __forceinline__ OutputPixels(const Bf16* dz, const ConvShape& v, int first, int begin, int end)
      : dz_(dz), end_(end), channels_(v.k) {
    const int row = int(threadIdx.x) / kUnitsOfRow, unit = int(threadIdx.x) % kUnitsOfRow;
    to_ = unit_offset<kUnitsOfRow>(row, unit);
    m_ = first + unit * kUnit < v.k ? begin + row : end;
    from_ = m_ * v.k + first + unit * kUnit;
  }

  __device__ __forceinline__ void load_next(unsigned char* tile) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const bool inside = m_ + i * kStride < end_;
      copy_async<16>(tile + to_ + i * kStride * kUnitsOfRow * 16, dz_ + from_ + i * kStride * channels_,
                     inside ? 16 : 0);
    }
    m_ += kMmaStep;
    from_ += kMmaStep * channels_;
  }

 private:
  const Bf16* dz_;
  int to_, m_, end_, channels_, from_;
};

// A step's 32 output pixels as a number in the mixed radix (n, p, q), for
// InputPixels. Worked out on the host: constants cost no registers.
struct PixelStep {
  int n, p, q;
};
inline PixelStep pixel_step(const ConvShape& v) {
  const int lines = kMmaStep / v.q;
  return {lines / v.p, lines % v.p, kMmaStep % v.q};
}

// B across k (wgrad): row j of a step is output pixel m + j, its columns are
// (tap, input channel): the pixels of x that the output pixel sees through the
// tap. A thread's tap and channels never change; its output pixels move on by a
// step, an addition with carries and no division.
template <typename T>
class InputPixels {
  static constexpr int kUnitsOfRow = T::kN / kUnit, kStride = T::kThreads / kUnitsOfRow, kRows = kMmaStep / kStride;
  static_assert(kStride % 8 == 0);

 public:
  __device__ __forceinline__ InputPixels(const Bf16* x, const ConvShape& v, const PixelStep& step, int first, int begin,
                                         int end)
      : x_(x), v_(v), step_(step), end_(end) {
    const int row = int(threadIdx.x) / kUnitsOfRow, unit = int(threadIdx.x) % kUnitsOfRow;
    to_ = unit_offset<kUnitsOfRow>(row, unit);
    const int column = first + unit * kUnit, tap = column / v.c;
    c_ = column % v.c;
    dy_ = tap / v.s - v.pad_top;
    dx_ = tap % v.s - v.pad_left;
    m_ = tap < v.r * v.s ? begin + row : end;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int m = begin + row + i * kStride;
      q_[i] = m % v.q;
      p_[i] = m / v.q % v.p;
      n_[i] = m / v.q / v.p;
    }
  }

  __device__ __forceinline__ void load_next(unsigned char* tile) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int y = p_[i] * v_.stride + dy_, x = q_[i] * v_.stride + dx_;
      const bool inside = m_ + i * kStride < end_ && unsigned(y) < unsigned(v_.h) && unsigned(x) < unsigned(v_.w);
      copy_async<16>(tile + to_ + i * kStride * kUnitsOfRow * 16, x_ + ((n_[i] * v_.h + y) * v_.w + x) * v_.c + c_,
                     inside ? 16 : 0);
      q_[i] += step_.q;
      const int carry_q = q_[i] >= v_.q;
      q_[i] -= carry_q ? v_.q : 0;
      p_[i] += step_.p + carry_q;
      const int carry_p = p_[i] >= v_.p;
      p_[i] -= carry_p ? v_.p : 0;
      n_[i] += step_.n + carry_p;
    }
    m_ += kMmaStep;
  }

 private:
  const Bf16* x_;
  const ConvShape& v_;
  const PixelStep& step_;
  int to_, c_, dy_, dx_, m_, end_;
  int n_[kRows], p_[kRows], q_[kRows];
};

}  // namespace doppel::DOPPEL_BACKEND
