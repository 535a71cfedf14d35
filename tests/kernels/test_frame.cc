// Frame kernels against double-precision references: a few obvious lines each, written from the formulas in the header.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "kernels/frame.h"
#include "kernels/philox.h"
#include "kernels/reference_frame.h"

using namespace doppel;
using namespace doppel::reference;

namespace {

struct Picture {
  int width, height;
  std::ptrdiff_t stride;
  std::vector<uint8_t> bytes;

  // Rows are longer than the picture, so that a kernel that ignores the stride fails.
  Picture(int w, int h) : width(w), height(h), stride(3 * w + 7), bytes(size_t(stride) * size_t(h), 99) {}
  ImageView view() { return {bytes.data(), width, height, stride}; }
  uint8_t& at(int x, int y, int c) { return bytes[size_t(y * stride + 3 * x + c)]; }
  double clamped(int x, int y, int c) const {
    x = std::clamp(x, 0, width - 1);
    y = std::clamp(y, 0, height - 1);
    return bytes[size_t(y * stride + 3 * x + c)];
  }
};

Picture noise(int w, int h, uint32_t seed = 1) {
  Picture picture(w, h);
  Random random(seed, 0, 0);
  for (int y = 0; y < h; ++y) {
    for (int k = 0; k < 3 * w; ++k) picture.bytes[size_t(y * picture.stride + k)] = uint8_t(random.below(256));
  }
  return picture;
}

}  // namespace

TEST_CASE("crop is the widened cubic kernel of the formula, inside and outside the frame") {
  const Picture frame = noise(61, 47);
  Picture source = frame;
  struct Row {
    Affine map;
    int size;
  };
  const Row rows[] = {
      {Affine{}, 24},                     // pixels as they are
      {turned(1, 0, -7.5f, 3.25f), 33},   // shifted
      {turned(3.1f, 20, -40, -31), 40},   // enlarged and turned
      {turned(0.4f, -33, 9, 12), 32},     // reduced
      {turned(0.11f, 5, 4, 2), 17},       // reduced far: kernels larger than the frame
      {turned(1.3f, 90, 300, -200), 16},  // wholly outside
  };
  for (const Row& row : rows) {
    CAPTURE(row.map.a, row.map.b, row.map.tx, row.map.ty);
    const Back back(row.map);
    Picture crop(row.size, row.size);
    crop_u8(source.view(), row.map, crop.view());
    std::vector<float> floats(size_t(3 * row.size * row.size), -1);
    crop_f32(source.view(), row.map, row.size, floats.data());
    double worst_byte = 0, worst_float = 0;
    for (int v = 0; v < row.size; ++v) {
      for (int u = 0; u < row.size; ++u) {
        for (int c = 0; c < 3; ++c) {
          const double exact = sample([&](int x, int y, int k) { return frame.clamped(x, y, k); }, back.x(u, v),
                                      back.y(u, v), back.sx, back.sy, c);
          const double value = std::clamp(exact, 0.0, 255.0);
          worst_byte = std::max(worst_byte, std::abs(crop.at(u, v, c) - value));
          worst_float = std::max(worst_float, std::abs(floats[size_t((v * row.size + u) * 3 + c)] - value / 255));
        }
      }
    }
    // Rounding, and the position's float error (2^-22 of some hundred pixels) times the steepest slope of noise.
    CHECK(worst_byte < 0.5 + 0.05);
    CHECK(worst_float < 0.05 / 255);
    CHECK(crop.bytes[size_t(3 * row.size)] == 99);  // behind the row's end
  }
}

TEST_CASE("a fine pattern does not alias when a crop is reduced") {
  Picture frame(128, 128);
  for (int y = 0; y < 128; ++y) {
    for (int x = 0; x < 128; ++x) {
      for (int c = 0; c < 3; ++c) frame.at(x, y, c) = (x + y) % 2 ? 255 : 0;
    }
  }
  Picture crop(20, 20);
  crop_u8(frame.view(), turned(0.2f, 11, 0, 0), crop.view());
  for (int v = 3; v < 17; ++v) {
    for (int u = 3; u < 17; ++u) CHECK(std::abs(crop.at(u, v, 0) - 127.5) < 6);
  }
}

TEST_CASE("crop refuses what it cannot do") {
  Picture frame = noise(8, 8), crop(4, 4);
  CHECK_THROWS_AS(crop_u8(frame.view(), Affine{0, 0, 0, 0, 0, 0}, crop.view()), std::invalid_argument);
  CHECK_THROWS_AS(crop_u8(frame.view(), Affine{NAN, 0, 0, 0, 1, 0}, crop.view()), std::invalid_argument);
  CHECK_THROWS_AS(crop_u8(ImageView{}, Affine{}, crop.view()), std::invalid_argument);
  CHECK_THROWS_AS(crop_luma(frame.view(), 0, 0, 0, 4, 4, crop.bytes.data(), 4), std::invalid_argument);
}

TEST_CASE("crop_luma is the luma of the same sampling") {
  const Picture frame = noise(53, 40);
  Picture source = frame;
  for (const float step : {0.5f, 1.0f, 1.7f, 6.0f}) {
    CAPTURE(step);
    const int w = 21, h = 13;
    std::vector<uint8_t> out(size_t(w * h));
    crop_luma(source.view(), -6.25f, 3.5f, step, w, h, out.data(), w);
    const double s = std::max(1.0, double(step));
    double worst = 0;
    for (int v = 0; v < h; ++v) {
      for (int u = 0; u < w; ++u) {
        const auto luma = [&](int x, int y, int) {
          return 0.2126 * frame.clamped(x, y, 0) + 0.7152 * frame.clamped(x, y, 1) + 0.0722 * frame.clamped(x, y, 2);
        };
        const double exact = std::clamp(sample(luma, -6.25 + u * step, 3.5 + v * step, s, s, 0), 0.0, 255.0);
        worst = std::max(worst, std::abs(out[size_t(v * w + u)] - exact));
      }
    }
    CHECK(worst < 1.3);  // each pixel's luma is rounded before it is weighted: half a level times sum |w|, and the end
  }
}

TEST_CASE("laplacian_variance") {
  const int w = 19, h = 14, stride = 23;
  std::vector<uint8_t> luma(size_t(stride * h));
  Random random(3, 0, 0);
  for (uint8_t& v : luma) v = uint8_t(random.below(256));
  double sum = 0, squares = 0;
  for (int y = 1; y < h - 1; ++y) {
    for (int x = 1; x < w - 1; ++x) {
      const auto at = [&](int i, int j) { return double(luma[size_t(j * stride + i)]); };
      const double v = 4 * at(x, y) - at(x - 1, y) - at(x + 1, y) - at(x, y - 1) - at(x, y + 1);
      sum += v;
      squares += v * v;
    }
  }
  const double n = (w - 2) * (h - 2);
  CHECK(laplacian_variance(luma.data(), w, h, stride) == Approx(squares / n - sum / n * sum / n));
  CHECK(laplacian_variance(luma.data(), 2, 14, stride) == 0);
  std::fill(luma.begin(), luma.end(), uint8_t(70));
  CHECK(laplacian_variance(luma.data(), w, h, stride) == 0);
}

namespace {

// A cloud of colours around a mean in Y, Cb, Cr; small enough to stay within 0..1.
std::vector<float> colours(float y, float cb, float cr, float spread, uint32_t seed, int n) {
  std::vector<float> out;
  Random random(seed, 0, 0);
  for (int i = 0; i < n; ++i) {
    const float ly = y + spread * random.normal(), lb = cb + 0.3f * spread * random.normal(),
                lr = cr + 0.3f * spread * random.normal();
    const float r = ly + 1.5748f * lr, b = ly + 1.8556f * lb;
    out.insert(out.end(), {r, (ly - 0.2126f * r - 0.0722f * b) / 0.7152f, b});
  }
  return out;
}

}  // namespace

TEST_CASE("colour transfer takes one picture's statistics to another's") {
  const int n = 4000;
  std::vector<float> image = colours(0.4f, -0.05f, 0.08f, 0.06f, 1, n);
  const std::vector<float> target = colours(0.6f, 0.02f, 0.03f, 0.09f, 2, n), mask(size_t(n), 1.0f);
  const ColourStats from = colour_stats(image.data(), mask.data(), n), to = colour_stats(target.data(), mask.data(), n);
  CHECK(from.mean[0] == Approx(0.4).margin(0.005));
  CHECK(from.mean[1] == Approx(-0.05).margin(0.002));
  CHECK(from.mean[2] == Approx(0.08).margin(0.002));
  CHECK(from.deviation[0] == Approx(0.06).epsilon(0.08));

  SECTION("whole") {
    apply_colour(image.data(), n, colour_map(from, to, 1));
    const ColourStats now = colour_stats(image.data(), mask.data(), n);
    for (int c = 0; c < 3; ++c) CHECK(now.mean[c] == Approx(to.mean[c]).margin(1e-3));
    CHECK(now.deviation[0] == Approx(to.deviation[0]).epsilon(0.03));
  }
  SECTION("half") {
    apply_colour(image.data(), n, colour_map(from, to, 0.5f));
    const ColourStats now = colour_stats(image.data(), mask.data(), n);
    CHECK(now.mean[0] == Approx((from.mean[0] + to.mean[0]) / 2).margin(1e-3));
  }
  SECTION("none, and nothing measured") {
    const std::vector<float> before = image;
    apply_colour(image.data(), n, colour_map(from, to, 0));
    for (size_t i = 0; i < image.size(); ++i) REQUIRE(image[i] == Approx(before[i]).margin(1e-6));
    const ColourMap map = colour_map(ColourStats{}, to, 1);
    CHECK((map.m[0] == 1 && map.m[1] == 0 && map.t[0] == 0));
  }
}

TEST_CASE("colour statistics heed the mask and leave out what lies far off") {
  const int n = 2000;
  std::vector<float> image = colours(0.5f, 0, 0, 0.05f, 4, n), mask(size_t(n), 1.0f);
  const ColourStats clean = colour_stats(image.data(), mask.data(), n);
  for (int i = 0; i < 60; ++i) std::fill_n(image.begin() + 3 * i, 3, 1.0f);  // a highlight
  const ColourStats robust = colour_stats(image.data(), mask.data(), n);
  CHECK(std::abs(robust.mean[0] - clean.mean[0]) < 0.004);  // a plain mean moves by 0.015
  std::fill_n(mask.begin(), 60, 0.0f);
  CHECK(colour_stats(image.data(), mask.data(), n).weight <= float(n - 60));
  std::fill(mask.begin(), mask.end(), 0.0f);
  CHECK(colour_stats(image.data(), mask.data(), n).weight == 0);
}

TEST_CASE("a flat face gains no contrast, and a strange one not without limit") {
  ColourStats flat, normal;
  flat.weight = normal.weight = 1;
  flat.mean[0] = normal.mean[0] = 0.5f;
  normal.deviation[0] = normal.deviation[1] = normal.deviation[2] = 0.2f;
  CHECK(colour_map(flat, normal, 1).m[0] == Approx(1));
  ColourStats faint = normal;
  for (float& d : faint.deviation) d = 0.02f;
  // Of a grey, all of a change is one of Y.
  const auto luma_gain = [&](const ColourStats& from, const ColourStats& to) {
    const ColourMap map = colour_map(from, to, 1);
    return map.m[0] + map.m[1] + map.m[2];
  };
  CHECK(luma_gain(faint, normal) == Approx(1.25).margin(1e-5));
  CHECK(luma_gain(normal, faint) == Approx(0.8).margin(1e-5));
}

TEST_CASE("another light on the skin leaves what is black without a tint") {
  // The skin of one picture is warm and that of the other cold, of the same relative contrast.
  const int n = 4000;
  const std::vector<float> warm = colours(0.5f, -0.06f, 0.08f, 0.06f, 5, n), mask(size_t(n), 1.0f);
  std::vector<float> cold = warm;
  const float gains[3] = {0.8f, 0.95f, 1.25f};
  for (size_t i = 0; i < cold.size(); ++i) cold[i] *= gains[i % 3];
  const ColourMap map =
      colour_map(colour_stats(warm.data(), mask.data(), n), colour_stats(cold.data(), mask.data(), n), 1);
  float brow[3] = {0.08f, 0.07f, 0.06f};
  const float before[3] = {brow[0], brow[1], brow[2]};
  apply_colour(brow, 1, map);
  for (int c = 0; c < 3; ++c) CHECK(brow[c] == Approx(before[c] * gains[c]).margin(0.012));
}

TEST_CASE("paste is the formula, and touches nothing else") {
  const int size = 12, mask_size = 20;
  Random random(7, 0, 0);
  std::vector<float> face(size_t(3 * size * size)), mask(size_t(mask_size * mask_size));
  for (float& v : face) v = random.uniform(-0.1f, 1.1f);
  for (int y = 0; y < mask_size; ++y) {
    for (int x = 0; x < mask_size; ++x) {
      const double r = std::hypot(x - 9.5, y - 9.5);
      mask[size_t(y * mask_size + x)] = float(std::clamp((9 - r) / 5, 0.0, 1.0));
    }
  }
  const auto face_at = [&](int x, int y, int c) {
    return double(face[size_t((std::clamp(y, 0, size - 1) * size + std::clamp(x, 0, size - 1)) * 3 + c)]);
  };
  const auto mask_value = [&](double qx, double qy) {
    if (!(qx > -0.5 && qy > -0.5 && qx < size - 0.5 && qy < size - 0.5)) return 0.0;
    const double x = std::clamp((qx + 0.5) * mask_size / size - 0.5, 0.0, mask_size - 1.0);
    const double y = std::clamp((qy + 0.5) * mask_size / size - 0.5, 0.0, mask_size - 1.0);
    const int i = std::min(int(x), mask_size - 2), j = std::min(int(y), mask_size - 2);
    const auto m = [&](int u, int v) { return double(mask[size_t(v * mask_size + u)]); };
    const double fx = x - i, fy = y - j;
    return (m(i, j) * (1 - fx) + m(i + 1, j) * fx) * (1 - fy) + (m(i, j + 1) * (1 - fx) + m(i + 1, j + 1) * fx) * fy;
  };
  // Enlarged and turned; reduced; half outside the frame; wholly outside.
  for (const Affine& map :
       {turned(0.3f, 25, -3, -6), turned(1.9f, -10, -40, -30), turned(0.25f, 0, 4, -2), turned(0.3f, 0, 100, 100)}) {
    CAPTURE(map.a, map.tx);
    const Picture before = noise(64, 50, 5);
    Picture frame = before;
    paste(frame.view(), face.data(), size, mask.data(), mask_size, map);
    const double sx = std::max(1.0, std::hypot(double(map.a), double(map.b)));
    const double sy = std::max(1.0, std::hypot(double(map.c), double(map.d)));
    double worst = 0;
    int strays = 0;
    for (int y = 0; y < 50; ++y) {
      for (int x = 0; x < 64; ++x) {
        const double qx = double(map.a) * x + double(map.b) * y + map.tx;
        const double qy = double(map.c) * x + double(map.d) * y + map.ty;
        const double m = mask_value(qx, qy);
        for (int c = 0; c < 3; ++c) {
          const double old = before.clamped(x, y, c);
          if (m == 0) {
            strays += frame.at(x, y, c) != old;
          } else {
            const double value = 255 * std::clamp(sample(face_at, qx, qy, sx, sy, c), 0.0, 1.0);
            worst = std::max(worst, std::abs(frame.at(x, y, c) - (old + m * (value - old))));
          }
        }
      }
      strays += frame.bytes[size_t(y * frame.stride + 3 * 64)] != 99;
    }
    CHECK(strays == 0);
    CHECK(worst < 0.55);
  }
}

TEST_CASE("paste refuses what it cannot do") {
  Picture frame = noise(8, 8);
  const std::vector<float> face(12), mask(4);
  CHECK_THROWS_AS(paste(frame.view(), face.data(), 1, mask.data(), 2, Affine{}), std::invalid_argument);
  CHECK_THROWS_AS(paste(frame.view(), face.data(), 2, mask.data(), 1, Affine{}), std::invalid_argument);
  CHECK_THROWS_AS(paste(frame.view(), face.data(), 2, mask.data(), 2, Affine{1, 1, 0, 1, 1, 0}), std::invalid_argument);
}
