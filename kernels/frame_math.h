// The per-pixel formulas behind kernels/frame.h, the same for every backend.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/affine.h"
#include "kernels/both.h"
#include "kernels/frame.h"

namespace doppel {

// ---- sampling -------------------------------------------------------------------------------------------------------

// Cubic convolution (Keys 1981, "Cubic convolution interpolation for digital image processing"), a = -0.5; support
// (-2, 2), sums to 1 over unit steps, and reproduces straight lines and parabolas.
constexpr float keys_cubic(float x) {
  x = x < 0 ? -x : x;
  const float near = (1.5f * x - 2.5f) * x * x + 1;
  const float far = ((-0.5f * x + 2.5f) * x - 4) * x + 2;
  return x < 1 ? near : x < 2 ? far : 0.0f;
}

// The same for the four pixels around a sample that lies f in [0, 1) behind the second of them.
constexpr void keys_cubic4(float f, float* w) {
  w[0] = ((-0.5f * f + 1) * f - 0.5f) * f;
  w[1] = (1.5f * f - 2.5f) * f * f + 1;
  w[2] = ((-1.5f * f + 2) * f + 0.5f) * f;
  w[3] = (0.5f * f - 0.5f) * f * f;
}

// ---- values ---------------------------------------------------------------------------------------------------------

constexpr float clamp_to(float v, float low, float high) {
  return v < low ? low : high < v ? high : v;
}

// 0..255 to the nearest byte, and to 0..1.
constexpr uint8_t to_byte(float v) {
  return uint8_t(clamp_to(v, 0.0f, 255.0f) + 0.5f);
}
constexpr float to_unit(float v) {
  return clamp_to(v * (1.0f / 255), 0.0f, 1.0f);
}

// What paste makes of a frame's byte: `value` 0..1 (clamped) with the mask's weight m.
constexpr uint8_t paste_value(uint8_t frame, float m, float value) {
  const float to = 255 * clamp_to(value, 0.0f, 1.0f);
  return to_byte(float(frame) + m * (to - float(frame)));
}

// ---- colour ---------------------------------------------------------------------------------------------------------

// BT.709 luma weights.
constexpr float kLumaR = 0.2126f, kLumaG = 0.7152f, kLumaB = 0.0722f;

// Y, Cb, Cr of coded R, G, B, all on one scale; Cb and Cr are around 0 and reach +-half the range.
struct Ycc {
  float y, cb, cr;
};
constexpr Ycc rgb_to_ycc(float r, float g, float b) {
  const float y = kLumaR * r + kLumaG * g + kLumaB * b;
  return {y, (b - y) / (2 * (1 - kLumaB)), (r - y) / (2 * (1 - kLumaR))};
}

struct Rgb {
  float r, g, b;
};
constexpr Rgb ycc_to_rgb(float y, float cb, float cr) {
  const float r = y + 2 * (1 - kLumaR) * cr;
  const float b = y + 2 * (1 - kLumaB) * cb;
  return {r, (y - kLumaR * r - kLumaB * b) / kLumaG, b};
}

// R, G, B, 0..255, of coded luma and chroma: the inverse of ITU-T H.273, section 8.3.
struct YuvToRgb {
  float black, luma;       // code of black; factor of luma
  float red, green, blue;  // of Cr in R, of Cb in G, of Cb in B
  float green_from_red;    // of Cr in G

  constexpr Rgb operator()(float y, float cb, float cr) const {
    const float v = luma * (y - black), u = cb - 128, w = cr - 128;
    return {v + red * w, v + green * u + green_from_red * w, v + blue * u};
  }
};
constexpr YuvToRgb yuv_to_rgb(YuvMatrix matrix, bool full_range) {
  const double kr = matrix == YuvMatrix::bt601 ? 0.299 : matrix == YuvMatrix::bt709 ? 0.2126 : 0.2627;
  const double kb = matrix == YuvMatrix::bt601 ? 0.114 : matrix == YuvMatrix::bt709 ? 0.0722 : 0.0593;
  const double kg = 1 - kr - kb, luma = full_range ? 1 : 255.0 / 219, chroma = full_range ? 1 : 255.0 / 224;
  const double red = 2 * (1 - kr) * chroma, blue = 2 * (1 - kb) * chroma;
  return {full_range ? 0.0f : 16.0f, float(luma), float(red),
          float(-kb / kg * blue),    float(blue), float(-kr / kg * red)};
}

// The weighted sums of one pass of colour_stats.
struct ColourSums {
  double weight, sum[3], squares[3];
};
DOPPEL_BOTH inline void add_colour(ColourSums& s, double w, const Ycc& v) {
  const double value[3] = {double(v.y), double(v.cb), double(v.cr)};
  s.weight += w;
  for (int c = 0; c < 3; ++c) {
    s.sum[c] += w * value[c];
    s.squares[c] += w * value[c] * value[c];
  }
}
DOPPEL_BOTH inline void add_sums(ColourSums& s, const ColourSums& other) {
  s.weight += other.weight;
  for (int c = 0; c < 3; ++c) {
    s.sum[c] += other.sum[c];
    s.squares[c] += other.squares[c];
  }
}

// Without weight all 0.
struct ColourMoments {
  double mean[3], deviation[3];
};
DOPPEL_BOTH inline ColourMoments colour_moments(const ColourSums& s) {
  ColourMoments m{};
  if (!(s.weight > 0)) return m;
  for (int c = 0; c < 3; ++c) {
    m.mean[c] = s.sum[c] / s.weight;
    const double variance = s.squares[c] / s.weight - m.mean[c] * m.mean[c];
    m.deviation[c] = std::sqrt(variance > 0 ? variance : 0.0);
  }
  return m;
}

// Whether the second pass leaves a colour out: more than 2.5 deviations off in any channel.
DOPPEL_BOTH inline bool is_far(const Ycc& v, const ColourMoments& m) {
  const double value[3] = {double(v.y), double(v.cb), double(v.cr)};
  bool far = false;
  for (int c = 0; c < 3; ++c) far = far || std::abs(value[c] - m.mean[c]) > 2.5 * m.deviation[c] + 1e-6;
  return far;
}

// From both passes: the second's, or the first's when it left everything out.
inline ColourStats colour_stats_of(const ColourSums& first, const ColourSums& second) {
  ColourStats stats;
  const ColourSums& sums = second.weight > 0 ? second : first;
  const ColourMoments m = colour_moments(sums);
  stats.weight = sums.weight > 0 ? float(sums.weight) : 0;
  for (int c = 0; c < 3; ++c) {
    stats.mean[c] = float(m.mean[c]);
    stats.deviation[c] = float(m.deviation[c]);
  }
  return stats;
}

DOPPEL_BOTH inline Rgb map_colour(const ColourMap& map, const Rgb& v) {
  const float* m = map.m;
  return {m[0] * v.r + m[1] * v.g + m[2] * v.b + map.t[0], m[3] * v.r + m[4] * v.g + m[5] * v.b + map.t[1],
          m[6] * v.r + m[7] * v.g + m[8] * v.b + map.t[2]};
}

// ---- mask -----------------------------------------------------------------------------------------------------------

// Value of mask [size, size] at q, in pixels of a square of side `square` that the mask covers; 0 outside the square.
constexpr float mask_at(const float* mask, int size, int square, Point q) {
  if (!(q.x > -0.5f && q.y > -0.5f && q.x < float(square) - 0.5f && q.y < float(square) - 0.5f)) return 0;
  const float scale = float(size) / float(square);
  const float top = float(size - 1);
  float x = (q.x + 0.5f) * scale - 0.5f, y = (q.y + 0.5f) * scale - 0.5f;
  x = x < 0 ? 0 : x > top ? top : x;
  y = y < 0 ? 0 : y > top ? top : y;
  const int x0 = int(x) < size - 2 ? int(x) : size - 2, y0 = int(y) < size - 2 ? int(y) : size - 2;
  const float fx = x - float(x0), fy = y - float(y0);
  const float* p = mask + y0 * size + x0;
  return (p[0] + fx * (p[1] - p[0])) * (1 - fy) + (p[size] + fx * (p[size + 1] - p[size])) * fy;
}

}  // namespace doppel
