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
  constexpr float kFlat = 2.0f / 255;  // below two levels the ratio of deviations is noise
  float gain[3], shift[3];
  for (int c = 0; c < 3; ++c) {
    const bool flat = from.deviation[c] < kFlat || to.deviation[c] < kFlat;
    const float ratio = flat ? 1.0f : std::clamp(to.deviation[c] / from.deviation[c], 0.5f, 2.0f);
    gain[c] = 1 + strength * (ratio - 1);
    shift[c] = strength * (to.mean[c] - from.mean[c]) - (gain[c] - 1) * from.mean[c];
  }
  // The composition rgb -> ycc -> gain and shift -> rgb, column by column.
  for (int k = 0; k < 3; ++k) {
    const Ycc v = rgb_to_ycc(k == 0, k == 1, k == 2);
    const Rgb column = ycc_to_rgb(gain[0] * v.y, gain[1] * v.cb, gain[2] * v.cr);
    map.m[k] = column.r;
    map.m[3 + k] = column.g;
    map.m[6 + k] = column.b;
  }
  const Rgb t = ycc_to_rgb(shift[0], shift[1], shift[2]);
  map.t[0] = t.r;
  map.t[1] = t.g;
  map.t[2] = t.b;
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
