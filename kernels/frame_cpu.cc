// Sampling, crop and paste of kernels/frame.h.
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/frame.h"
#include "kernels/frame_geometry.h"
#include "kernels/frame_math.h"
#include "kernels/parallel.h"

namespace doppel {
namespace {

// ---- sampling -------------------------------------------------------------------------------------------------------

// Sixteen values at a time, in the compilers' own vector notation: loops this short are not vectorised well.
constexpr int kLanes = 16;
using Floats = float __attribute__((vector_size(4 * kLanes)));

inline Floats load(const uint8_t* p) {
  Floats v;
#if defined(__AVX512F__)
  // By hand, because GCC 12 widens sixteen bytes one by one, which takes four times as long as all the rest.
  // With full masks, because it warns of uninitialised values in its own header without.
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m512 wide = _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepu8_epi32(0xffff, bytes));
  std::memcpy(&v, &wide, sizeof v);
#else
  for (int k = 0; k < kLanes; ++k) v[k] = float(p[k]);
#endif
  return v;
}
inline Floats load(const float* p) {
  Floats v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

constexpr int round_up(int n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}

// Pixels first .. first + count - 1 along one axis count for a sample at q, kernel widened `scale` times (>= 1).
struct Taps {
  int first, count;
};

int taps_for(float scale) {
  return int(std::ceil(4 * scale)) + 1;
}

// `weight` has room for round_up(taps_for(scale)) values; those behind the last tap are 0. They sum to 1.
Taps make_taps(float q, float scale, float* weight) {
  const int first = int(std::floor(q - 2 * scale)) + 1;
  const int count = int(std::ceil(q + 2 * scale)) - first;
  const int padded = round_up(count);
  const float inverse = 1 / scale, start = (float(first) - q) * inverse;
  float sum = 0;
  for (int i = 0; i < padded; ++i) weight[i] = keys_cubic(start + float(i) * inverse);
  for (int i = 0; i < padded; ++i) sum += weight[i];
  const float k = 1 / sum;
  for (int i = 0; i < padded; ++i) weight[i] *= k;
  return {first, count};
}

// Samples an interleaved three-channel picture of T with border pixels repeated.
template <typename T>
class Sampler {
 public:
  Sampler(const T* data, int width, int height, std::ptrdiff_t stride, float scale_x, float scale_y)
      : data_(data),
        width_(width),
        height_(height),
        stride_(stride),
        scale_x_(scale_x),
        scale_y_(scale_y),
        row_values_(round_up(3 * taps_for(scale_x))),
        wx_(size_t(round_up(taps_for(scale_x)))),
        wy_(size_t(round_up(taps_for(scale_y)))),
        sum_(3 * wx_.size()) {}

  Rgb operator()(Point q) {
    if (scale_x_ == 1 && scale_y_ == 1) {
      const int x = int(std::floor(q.x)) - 1, y = int(std::floor(q.y)) - 1;
      // Six pixels a row, because load() reads sixteen values.
      if (x >= 0 && y >= 0 && x + 6 <= width_ && y + 4 <= height_) return four(q, x, y);
    }
    // Beyond the border by more than the kernel every weight falls on border pixels: nothing changes further out, and
    // the tap indices stay small.
    const float x = std::clamp(q.x, -2 * scale_x_ - 1, float(width_) + 2 * scale_x_);
    const float y = std::clamp(q.y, -2 * scale_y_ - 1, float(height_) + 2 * scale_y_);
    const Taps tx = make_taps(x, scale_x_, wx_.data());
    const Taps ty = make_taps(y, scale_y_, wy_.data());
    const bool inside =
        tx.first >= 0 && ty.first >= 0 && 3 * tx.first + row_values_ <= 3 * width_ && ty.first + ty.count <= height_;
    return inside ? block(tx, ty) : clamped(tx, ty);
  }

 private:
  const T* row(int y) const { return data_ + y * stride_; }

  // The common case, 4 x 4 pixels. Rows first, as one weighted sum of contiguous values, then the columns; the last
  // four of the sixteen values are not used.
  Rgb four(Point q, int x, int y) const {
    float wx[4], wy[4];
    keys_cubic4(q.x - float(x + 1), wx);
    keys_cubic4(q.y - float(y + 1), wy);
    const T* p = row(y) + 3 * x;
    Floats sum = wy[0] * load(p);
    for (int j = 1; j < 4; ++j) sum += wy[j] * load(p + j * stride_);
    return {wx[0] * sum[0] + wx[1] * sum[3] + wx[2] * sum[6] + wx[3] * sum[9],
            wx[0] * sum[1] + wx[1] * sum[4] + wx[2] * sum[7] + wx[3] * sum[10],
            wx[0] * sum[2] + wx[1] * sum[5] + wx[2] * sum[8] + wx[3] * sum[11]};
  }

  Rgb block(Taps tx, Taps ty) {
    for (int k = 0; k < row_values_; k += kLanes) {
      const T* p = row(ty.first) + 3 * tx.first + k;
      Floats sum = wy_[0] * load(p);
      for (int j = 1; j < ty.count; ++j) sum += wy_[size_t(j)] * load(p + j * stride_);
      std::memcpy(sum_.data() + k, &sum, sizeof sum);
    }
    return columns(sum_.data(), tx.count);
  }

  Rgb clamped(Taps tx, Taps ty) {
    std::fill_n(sum_.data(), 3 * tx.count, 0.0f);
    for (int j = 0; j < ty.count; ++j) {
      const T* p = row(std::clamp(ty.first + j, 0, height_ - 1));
      const float w = wy_[size_t(j)];
      for (int i = 0; i < tx.count; ++i) {
        const T* v = p + 3 * std::clamp(tx.first + i, 0, width_ - 1);
        for (int c = 0; c < 3; ++c) sum_[size_t(3 * i + c)] += w * float(v[c]);
      }
    }
    return columns(sum_.data(), tx.count);
  }

  Rgb columns(const float* sum, int count) const {
    Rgb out{0, 0, 0};
    for (int i = 0; i < count; ++i) {
      const float w = wx_[size_t(i)];
      out.r += w * sum[3 * i];
      out.g += w * sum[3 * i + 1];
      out.b += w * sum[3 * i + 2];
    }
    return out;
  }

  const T* data_;
  int width_, height_;
  std::ptrdiff_t stride_;  // in T
  float scale_x_, scale_y_;
  int row_values_;  // read from each row by block()
  std::vector<float> wx_, wy_, sum_;
};

// Calls put(x, y, sample) for every pixel of a width x height crop, rows over the cores.
template <typename Put>
void for_crop(ConstImageView frame, const Affine& frame_to_crop, int width, int height, Put&& put) {
  const CropGeometry g = crop_geometry(frame.data && frame.width > 0 && frame.height > 0, frame_to_crop);
  parallel_for(height, 16, [&](int64_t begin, int64_t end) {
    Sampler<uint8_t> sample(frame.data, frame.width, frame.height, frame.stride, g.scale_x, g.scale_y);
    for (int y = int(begin); y < int(end); ++y) {
      for (int x = 0; x < width; ++x) put(x, y, sample(g.back({float(x), float(y)})));
    }
  });
}

}  // namespace

// ---- crop -----------------------------------------------------------------------------------------------------------

namespace on_cpu {

void crop_u8(ConstImageView frame, const Affine& frame_to_crop, ImageView crop, Stream) {
  for_crop(frame, frame_to_crop, crop.width, crop.height, [&](int x, int y, Rgb v) {
    uint8_t* p = crop.row(y) + 3 * x;
    p[0] = to_byte(v.r);
    p[1] = to_byte(v.g);
    p[2] = to_byte(v.b);
  });
}

void crop_f32(ConstImageView frame, const Affine& frame_to_crop, int size, float* out, Stream) {
  for_crop(frame, frame_to_crop, size, size, [&](int x, int y, Rgb v) {
    float* p = out + (size_t(y) * size_t(size) + size_t(x)) * 3;
    p[0] = to_unit(v.r);
    p[1] = to_unit(v.g);
    p[2] = to_unit(v.b);
  });
}

}  // namespace on_cpu

void crop_luma(ConstImageView frame, float x, float y, float step, int width, int height, uint8_t* out,
               std::ptrdiff_t stride) {
  require(frame.data && frame.width > 0 && frame.height > 0, "crop_luma: the frame is empty");
  require(step > 0 && std::isfinite(x) && std::isfinite(y) && std::isfinite(step), "crop_luma: bad box");
  if (width <= 0 || height <= 0) return;
  const float scale = std::max(1.0f, step);
  const int margin = taps_for(scale) / 2 + 1;
  // The part of the frame that is read, border repeated; the luma of its columns is kept per row.
  const int x0 = int(std::floor(x)) - margin;
  const int source_width = int(std::ceil(x + step * float(width - 1))) + margin + 1 - x0;

  const int taps = round_up(taps_for(scale));
  std::vector<float> weights(size_t(width) * size_t(taps));
  std::vector<Taps> columns(static_cast<size_t>(width));
  for (int u = 0; u < width; ++u) {
    columns[size_t(u)] = make_taps(x + float(u) * step, scale, weights.data() + size_t(u) * size_t(taps));
  }

  const int y0 = int(std::floor(y)) - margin;
  const int source_height = int(std::ceil(y + step * float(height - 1))) + margin + 1 - y0;
  const int left = std::clamp(-x0, 0, source_width), right = std::clamp(frame.width - x0, left, source_width);
  std::vector<uint8_t> luma(size_t(source_width) * size_t(source_height));
  parallel_for(source_height, 32, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      const uint8_t* p = frame.row(std::clamp(y0 + int(j), 0, frame.height - 1));
      uint8_t* to = luma.data() + size_t(j) * size_t(source_width);
      const auto at = [&](int i) {
        const uint8_t* v = p + 3 * i;  // weights of BT.709 in 1/65536
        return uint8_t((13933u * v[0] + 46871u * v[1] + 4732u * v[2] + 32768u) >> 16);
      };
      for (int i = left; i < right; ++i) to[i] = at(x0 + i);
      std::fill(to, to + left, at(0));
      std::fill(to + right, to + source_width, at(frame.width - 1));
    }
  });

  parallel_for(height, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(source_width)), wy(static_cast<size_t>(taps));
    for (int64_t v = begin; v < end; ++v) {
      const Taps ty = make_taps(y + float(v) * step, scale, wy.data());
      std::fill(row.begin(), row.end(), 0.0f);
      for (int j = 0; j < ty.count; ++j) {
        const uint8_t* p = luma.data() + size_t(ty.first + j - y0) * size_t(source_width);
        const float w = wy[size_t(j)];
        for (int i = 0; i < source_width; ++i) row[size_t(i)] += w * float(p[i]);
      }
      uint8_t* to = out + v * stride;
      for (int u = 0; u < width; ++u) {
        const Taps tx = columns[size_t(u)];
        const float* w = weights.data() + size_t(u) * size_t(taps);
        const float* r = row.data() + (tx.first - x0);
        float sum = 0;
        for (int i = 0; i < tx.count; ++i) sum += w[i] * r[i];
        to[u] = to_byte(sum);
      }
    }
  });
}

// ---- paste ----------------------------------------------------------------------------------------------------------

namespace on_cpu {

void paste(ImageView frame, const float* face, int size, const float* mask, int mask_size, const Affine& frame_to_face,
           Stream) {
  const PasteGeometry g = paste_geometry(frame, size, mask_size, frame_to_face);
  parallel_for(g.y1 - g.y0, 16, [&](int64_t begin, int64_t end) {
    Sampler<float> sample(face, size, size, std::ptrdiff_t(3) * size, g.scale_x, g.scale_y);
    for (int y = g.y0 + int(begin); y < g.y0 + int(end); ++y) {
      uint8_t* p = frame.row(y) + 3 * g.x0;
      for (int x = g.x0; x < g.x1; ++x, p += 3) {
        const Point q = frame_to_face({float(x), float(y)});
        const float m = mask_at(mask, mask_size, size, q);
        if (!(m > 0)) continue;
        const Rgb v = sample(q);
        p[0] = paste_value(p[0], m, v.r);
        p[1] = paste_value(p[1], m, v.g);
        p[2] = paste_value(p[2], m, v.b);
      }
    }
  });
}

}  // namespace on_cpu

}  // namespace doppel
