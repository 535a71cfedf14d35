// PSNR and SSIM against the definitions, written plainly in double precision.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "kernels/philox.h"
#include "kernels/quality.h"

using namespace doppel;

namespace {

struct Picture {
  int width, height;
  std::vector<uint8_t> data;
  Picture(int w, int h, uint64_t seed) : width(w), height(h), data(size_t(w) * h * 3) {
    Random random(seed, 0, 0);
    for (uint8_t& v : data) v = uint8_t(random.below(256));
  }
  ConstImageView view() const { return {data.data(), width, height, 3 * width}; }
  double luma(int x, int y) const {
    x = std::clamp(x, 0, width - 1), y = std::clamp(y, 0, height - 1);
    const uint8_t* p = &data[(size_t(y) * width + x) * 3];
    return 0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2];
  }
};

double reference_ssim(const Picture& a, const Picture& b, int x, int y) {
  double weight = 0, ma = 0, mb = 0, saa = 0, sbb = 0, sab = 0;
  for (int dy = -5; dy <= 5; ++dy) {
    for (int dx = -5; dx <= 5; ++dx) {
      const double w = std::exp(-(dx * dx + dy * dy) / 4.5), va = a.luma(x + dx, y + dy), vb = b.luma(x + dx, y + dy);
      weight += w, ma += w * va, mb += w * vb, saa += w * va * va, sbb += w * vb * vb, sab += w * va * vb;
    }
  }
  ma /= weight, mb /= weight;
  const double va = saa / weight - ma * ma, vb = sbb / weight - mb * mb, cov = sab / weight - ma * mb;
  const double c1 = 2.55 * 2.55, c2 = 7.65 * 7.65;
  return (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
}

}  // namespace

TEST_CASE("picture errors match their definitions inside the region only") {
  Picture a(23, 17, 1), b(23, 17, 2);
  for (size_t i = 0; i < a.data.size(); ++i) b.data[i] = uint8_t((3 * a.data[i] + b.data[i]) / 4);  // alike, not equal
  std::vector<uint8_t> region(23 * 17);
  double pixels = 0, squared = 0, ssim = 0;
  for (int y = 0; y < 17; ++y) {
    for (int x = 0; x < 23; ++x) {
      // Touches two borders, and is not convex.
      if (!(x < 9 || (y > 11 && x < 20 && x != 14))) continue;
      region[size_t(y) * 23 + x] = 1;
      pixels += 1;
      ssim += reference_ssim(a, b, x, y);
      for (int c = 0; c < 3; ++c) {
        const double d = double(a.data[(size_t(y) * 23 + x) * 3 + c]) - b.data[(size_t(y) * 23 + x) * 3 + c];
        squared += d * d;
      }
    }
  }
  const PictureError error = compare_pictures(a.view(), b.view(), region.data());
  CHECK(error.pixels == pixels);
  CHECK(error.squared_rgb == squared);
  CHECK(error.psnr_rgb() == Approx(10 * std::log10(255.0 * 255.0 / (squared / (3 * pixels)))).epsilon(1e-12));
  // fp32 sums of 121 squares of levels: relative error about 1e-6 of a mean square near 2^15, against variances of
  // 2^12.
  CHECK(error.mean_ssim() == Approx(ssim / pixels).margin(1e-4));
  CHECK(error.mean_ssim() < 0.99);
}

TEST_CASE("equal pictures have infinite PSNR and an SSIM of one") {
  const Picture a(20, 20, 3);
  const std::vector<uint8_t> region(400, 1);
  const PictureError error = compare_pictures(a.view(), a.view(), region.data());
  CHECK(std::isinf(error.psnr_rgb()));
  CHECK(std::isinf(error.psnr_luma()));
  CHECK(error.mean_ssim() == Approx(1).margin(1e-6));
}

TEST_CASE("an empty region adds nothing, and sizes must agree") {
  const Picture a(8, 8, 4), b(8, 9, 5);
  const std::vector<uint8_t> region(64);
  CHECK(compare_pictures(a.view(), a.view(), region.data()).pixels == 0);
  CHECK_THROWS_AS(compare_pictures(a.view(), b.view(), region.data()), std::invalid_argument);
}

TEST_CASE("sums of frames add up") {
  const Picture a(16, 16, 6), b(16, 16, 7);
  std::vector<uint8_t> left(256), right(256), both(256, 1);
  for (int i = 0; i < 256; ++i) (i % 16 < 7 ? left : right)[size_t(i)] = 1;
  PictureError sum = compare_pictures(a.view(), b.view(), left.data());
  sum.add(compare_pictures(a.view(), b.view(), right.data()));
  const PictureError whole = compare_pictures(a.view(), b.view(), both.data());
  CHECK(sum.pixels == whole.pixels);
  CHECK(sum.squared_rgb == whole.squared_rgb);
  CHECK(sum.psnr_luma() == Approx(whole.psnr_luma()));
  CHECK(sum.mean_ssim() == Approx(whole.mean_ssim()));
}
