// Sharpness, and colour statistics and transfer, of kernels/frame.h.
#include <algorithm>
#include <cmath>

#include "kernels/frame.h"
#include "kernels/frame_math.h"
#include "kernels/parallel.h"

namespace doppel {

// ---- sharpness ------------------------------------------------------------------------------------------------------

double laplacian_variance(const uint8_t* luma, int width, int height, std::ptrdiff_t stride) {
  if (width < 3 || height < 3) return 0;
  int64_t sum = 0, squares = 0;
  for (int y = 1; y + 1 < height; ++y) {
    const uint8_t* p = luma + y * stride;
    int row_sum = 0;
    int64_t row_squares = 0;
    for (int x = 1; x + 1 < width; ++x) {
      const int v = 4 * p[x] - p[x - 1] - p[x + 1] - p[x - stride] - p[x + stride];
      row_sum += v;
      row_squares += v * v;
    }
    sum += row_sum;
    squares += row_squares;
  }
  const double n = double(width - 2) * double(height - 2);
  const double mean = double(sum) / n;
  return double(squares) / n - mean * mean;
}

// ---- colour ---------------------------------------------------------------------------------------------------------

namespace on_cpu {

ColourStats colour_stats(const float* image, const float* mask, int64_t pixels, Stream) {
  ColourSums sums[2] = {};
  ColourMoments moments{};
  for (int pass = 0; pass < 2; ++pass) {
    for (int64_t i = 0; i < pixels; ++i) {
      const double w = double(mask[i]);
      if (!(w > 0)) continue;
      const Ycc v = rgb_to_ycc(image[3 * i], image[3 * i + 1], image[3 * i + 2]);
      if (pass == 0 || !is_far(v, moments)) add_colour(sums[pass], w, v);
    }
    moments = colour_moments(sums[pass]);
  }
  return colour_stats_of(sums[0], sums[1]);
}

}  // namespace on_cpu

ColourMap colour_map(const ColourStats& from, const ColourStats& to, float strength) {
  ColourMap map;
  if (from.weight <= 0 || to.weight <= 0) return map;
  constexpr float kFlat = 2.0f / 255;  // below two levels a ratio is noise
  const auto ratio = [](float above, float below, float most) {
    return above < kFlat || below < kFlat ? 1.0f : std::clamp(above / below, 1 / most, most);
  };
  const Rgb from_mean = ycc_to_rgb(from.mean[0], from.mean[1], from.mean[2]);
  const Rgb to_mean = ycc_to_rgb(to.mean[0], to.mean[1], to.mean[2]);
  const float a[3] = {from_mean.r, from_mean.g, from_mean.b}, b[3] = {to_mean.r, to_mean.g, to_mean.b};
  const float luma[3] = {kLumaR, kLumaG, kLumaB};
  const float gains[3] = {ratio(b[0], a[0], 2), ratio(b[1], a[1], 2), ratio(b[2], a[2], 2)};
  float lit = 0;  // Y of `a` under the new light
  for (int c = 0; c < 3; ++c) lit += luma[c] * gains[c] * a[c];
  const float contrast = ratio(to.deviation[0], from.deviation[0] * lit / std::max(from.mean[0], kFlat), 1.25f);
  for (int row = 0; row < 3; ++row) {
    for (int c = 0; c < 3; ++c)
      map.m[3 * row + c] += strength * ((row == c ? gains[c] - 1 : 0) + (contrast - 1) * luma[c] * gains[c]);
    map.t[row] = strength * (b[row] - gains[row] * a[row] - (contrast - 1) * lit);
  }
  return map;
}

namespace on_cpu {

void apply_colour(float* image, int64_t pixels, const ColourMap& map, Stream) {
  parallel_for(pixels, 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* p = image + 3 * i;
      const Rgb v = map_colour(map, {p[0], p[1], p[2]});
      p[0] = v.r;
      p[1] = v.g;
      p[2] = v.b;
    }
  });
}

}  // namespace on_cpu

}  // namespace doppel
