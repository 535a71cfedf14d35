#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/quality.h"

namespace doppel {
namespace {

constexpr int kRadius = 5;
constexpr int kTaps = 2 * kRadius + 1;
constexpr float kC1 = 0.01f * 255 * 0.01f * 255;
constexpr float kC2 = 0.03f * 255 * 0.03f * 255;

std::array<float, kTaps> gaussian() {
  std::array<float, kTaps> taps;
  float sum = 0;
  for (int i = 0; i < kTaps; ++i) sum += taps[i] = std::exp(-float((i - kRadius) * (i - kRadius)) / (2 * 1.5f * 1.5f));
  for (float& tap : taps) tap /= sum;
  return taps;
}

float luma(const uint8_t* p) {
  return 0.2126f * p[0] + 0.7152f * p[1] + 0.0722f * p[2];
}

double psnr(double squared, double values) {
  return squared > 0 ? 10 * std::log10(255.0 * 255.0 * values / squared) : std::numeric_limits<double>::infinity();
}

// The pixels x0 <= x < x1, y0 <= y < y1 that hold the region.
struct Bounds {
  int x0, y0, x1, y1;
};

Bounds bounds_of(const uint8_t* region, int width, int height) {
  Bounds box{width, height, 0, 0};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if (region[size_t(y) * width + x] == 0) continue;
      box = {std::min(box.x0, x), std::min(box.y0, y), std::max(box.x1, x + 1), std::max(box.y1, y + 1)};
    }
  }
  return box;
}

// Luma of the box grown by the window's radius: [height + 2 radius, width + 2 radius].
std::vector<float> padded_luma(ConstImageView image, const Bounds& box) {
  std::vector<float> out;
  out.reserve(size_t(box.x1 - box.x0 + 2 * kRadius) * (box.y1 - box.y0 + 2 * kRadius));
  for (int y = box.y0 - kRadius; y < box.y1 + kRadius; ++y) {
    const uint8_t* row = image.row(std::clamp(y, 0, image.height - 1));
    for (int x = box.x0 - kRadius; x < box.x1 + kRadius; ++x) {
      out.push_back(luma(row + 3 * std::clamp(x, 0, image.width - 1)));
    }
  }
  return out;
}

// The five windowed sums of SSIM, each a plane of [rows, width]: a, b, a^2, b^2, a b.
constexpr int kMoments = 5;

float ssim_at(float a, float b, float aa, float bb, float ab) {
  const float covariance = ab - a * b, variances = std::max(0.0f, aa - a * a) + std::max(0.0f, bb - b * b);
  return (2 * a * b + kC1) * (2 * covariance + kC2) / ((a * a + b * b + kC1) * (variances + kC2));
}

double ssim_sum(ConstImageView a, ConstImageView b, const uint8_t* region, const Bounds& box) {
  const auto taps = gaussian();
  const auto la = padded_luma(a, box), lb = padded_luma(b, box);
  const int width = box.x1 - box.x0, height = box.y1 - box.y0, stride = width + 2 * kRadius;
  const size_t row = size_t(kMoments) * width;
  std::vector<float> across(row * size_t(height + 2 * kRadius));
  parallel_for(height + 2 * kRadius, 8, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      float* sums = across.data() + size_t(y) * row;
      for (int t = 0; t < kTaps; ++t) {
        const float *ra = la.data() + size_t(y) * stride + t, *rb = lb.data() + size_t(y) * stride + t;
        for (int x = 0; x < width; ++x) {
          sums[x] += taps[t] * ra[x];
          sums[width + x] += taps[t] * rb[x];
          sums[2 * width + x] += taps[t] * ra[x] * ra[x];
          sums[3 * width + x] += taps[t] * rb[x] * rb[x];
          sums[4 * width + x] += taps[t] * ra[x] * rb[x];
        }
      }
    }
  });
  std::vector<double> totals(size_t(height), 0.0);  // by row, so that the sum does not depend on the threads
  parallel_for(height, 8, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(row);
    for (int64_t y = begin; y < end; ++y) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (int t = 0; t < kTaps; ++t) {
        const float* from = across.data() + size_t(y + t) * row;
        for (size_t i = 0; i < row; ++i) sums[i] += taps[t] * from[i];
      }
      const uint8_t* inside = region + size_t(y + box.y0) * a.width + box.x0;
      const float* s = sums.data();
      for (int x = 0; x < width; ++x) {
        if (inside[x] != 0)
          totals[size_t(y)] += ssim_at(s[x], s[width + x], s[2 * width + x], s[3 * width + x], s[4 * width + x]);
      }
    }
  });
  return std::accumulate(totals.begin(), totals.end(), 0.0);
}

}  // namespace

void PictureError::add(const PictureError& other) {
  pixels += other.pixels;
  squared_rgb += other.squared_rgb;
  squared_luma += other.squared_luma;
  ssim += other.ssim;
}

double PictureError::psnr_rgb() const {
  return psnr(squared_rgb, 3 * pixels);
}

double PictureError::psnr_luma() const {
  return psnr(squared_luma, pixels);
}

PictureError compare_pictures(ConstImageView a, ConstImageView b, const uint8_t* region) {
  if (a.width != b.width || a.height != b.height) throw std::invalid_argument("compare_pictures: sizes differ");
  PictureError sum;
  const Bounds box = bounds_of(region, a.width, a.height);
  if (box.x0 >= box.x1) return sum;
  for (int y = box.y0; y < box.y1; ++y) {
    for (int x = box.x0; x < box.x1; ++x) {
      if (region[size_t(y) * a.width + x] == 0) continue;
      const uint8_t *pa = a.row(y) + 3 * x, *pb = b.row(y) + 3 * x;
      for (int c = 0; c < 3; ++c) sum.squared_rgb += double(pa[c] - pb[c]) * (pa[c] - pb[c]);
      const double difference = luma(pa) - luma(pb);
      sum.squared_luma += difference * difference;
      sum.pixels += 1;
    }
  }
  sum.ssim = ssim_sum(a, b, region, box);
  return sum;
}

}  // namespace doppel
