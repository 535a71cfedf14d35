#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "faces/align.h"
#include "faces/paste.h"
#include "kernels/philox.h"
#include "runtime/image.h"
#include "tests_faces.h"

using namespace doppel;

namespace {

constexpr float kPart = kDefaultCoverage * kNetworkPart;

// Smooth colours, as a face has them; a network of 64 x 64 cannot hold noise.
Image smooth_frame(int w, int h) {
  Image image(w, h);
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      uint8_t* p = image.row(y) + 3 * x;
      p[0] = uint8_t(150 + 50 * std::sin(0.021 * x + 0.013 * y));
      p[1] = uint8_t(110 + 40 * std::sin(0.017 * x - 0.019 * y));
      p[2] = uint8_t(90 + 30 * std::cos(0.023 * x + 0.011 * y));
    }
  }
  return image;
}

struct Difference {
  int worst = 0;
  int64_t pixels = 0;  // that differ
};

Difference difference(const Image& a, const Image& b) {
  Difference d;
  for (size_t i = 0; i < a.size_bytes(); i += 3) {
    int here = 0;
    for (size_t c = 0; c < 3; ++c) here = std::max(here, std::abs(a.data()[i + c] - b.data()[i + c]));
    d.worst = std::max(d.worst, here);
    d.pixels += here > 0;
  }
  return d;
}

}  // namespace

TEST_CASE("the mask is 1 inside the face, 0 outside and on the border, and fades between") {
  for (const int size : {33, 64, 160}) {
    const Landmarks face = moved(canonical_face(), canonical_to_crop(size, kPart));
    std::vector<float> mask(size_t(size * size), -1);
    face_mask(face, size, {}, mask.data());
    const auto at = [&](Point canonical) {
      const Point p = canonical_to_crop(size, kPart)(canonical);
      return mask[size_t(std::lround(p.y)) * size_t(size) + size_t(std::lround(p.x))];
    };
    for (const size_t inner : {27u, 30u, 33u, 39u, 42u, 51u, 57u}) CHECK(at(canonical_face()[inner]) == 1);
    CHECK(at({0, -0.52f}) > 0);  // the forehead just above the brows
    CHECK(at({0.6f, 0.3f}) == 0);
    CHECK(at({-0.55f, -0.3f}) == 0);
    float steepest = 0;
    for (int y = 0; y < size; ++y) {
      for (int x = 0; x < size; ++x) {
        const float m = mask[size_t(y * size + x)];
        REQUIRE((m >= 0 && m <= 1));
        if (x == 0 || y == 0 || x == size - 1 || y == size - 1) REQUIRE(m == 0);
        if (x > 0) steepest = std::max(steepest, std::abs(m - mask[size_t(y * size + x - 1)]));
      }
    }
    // smoothstep's steepest slope is 1.5 over the feather.
    CHECK(steepest <= 1.5f / (MaskOptions{}.feather * float(size)) + 1e-4f);
  }
}

TEST_CASE("the mask fades to 0 on the border even when the face is larger than the square") {
  const int size = 48;
  const Landmarks face = moved(canonical_face(), canonical_to_crop(size, 0.5f));
  std::vector<float> mask(size_t(size * size));
  face_mask(face, size, {}, mask.data());
  CHECK(mask[size_t(size / 2 * size + size / 2)] == 1);
  for (int i = 0; i < size; ++i) {
    CHECK(mask[size_t(i)] == 0);
    CHECK(mask[size_t(i * size)] == 0);
    CHECK(mask[size_t(i * size + 1)] < 0.3f);
  }
  // Points on a line are no face.
  Landmarks line;
  for (size_t i = 0; i < line.size(); ++i) line[i] = {float(i) / 2, float(i) / 2};
  face_mask(line, size, {}, mask.data());
  CHECK(*std::max_element(mask.begin(), mask.end()) == 0);
}

TEST_CASE("pasting a face's own crop changes the frame by less than 2 levels") {
  const Image before = smooth_frame(500, 400);
  for (const float degrees : {0.0f, 18.0f}) {
    for (const auto& [jaw, size] : {std::pair{170.0f, 64}, {90.0f, 64}, {40.0f, 64}, {170.0f, 128}}) {
      CAPTURE(degrees, jaw, size);
      const Landmarks face = moved(canonical_face(), similarity(jaw, degrees, 250, 200));
      const Affine map = align(face, size, kPart);
      std::vector<float> crop(size_t(3 * size * size));
      crop_f32(before, map, size, crop.data());
      Image frame = before;
      paste_face(frame, crop.data(), size, map, face);
      CHECK(difference(frame, before).worst < 2);
    }
  }
}

TEST_CASE("colour match brings a tinted face back; without it the tint stays") {
  const Image before = smooth_frame(500, 400);
  const int size = 64;
  const Landmarks face = moved(canonical_face(), similarity(150, -8, 260, 190));
  const Affine map = align(face, size, kPart);
  std::vector<float> crop(size_t(3 * size * size));
  crop_f32(before, map, size, crop.data());
  const float light[3] = {0.95f, 0.8f, 0.7f};
  for (size_t i = 0; i < crop.size(); ++i) crop[i] *= light[i % 3];
  Image matched = before, plain = before;
  PasteOptions options;
  paste_face(matched, crop.data(), size, map, face, options);
  options.colour = 0;
  paste_face(plain, crop.data(), size, map, face, options);
  CHECK(difference(plain, before).worst > 15);
  CHECK(difference(matched, before).worst < 6);
}

TEST_CASE("paste_face touches the face only, and nothing when the face is elsewhere") {
  const Image before = smooth_frame(300, 300);
  const int size = 32;
  const Landmarks face = moved(canonical_face(), similarity(80, 0, 150, 150));
  const Affine map = align(face, size, kPart);
  const std::vector<float> green(size_t(3 * size * size), 0.9f);
  PasteOptions options;
  options.colour = 0;
  Image frame = before;
  paste_face(frame, green.data(), size, map, face, options);
  const Difference d = difference(frame, before);
  CHECK(d.worst > 50);
  CHECK(d.pixels < 80 * 110);
  CHECK(d.pixels > 80 * 40);
  for (const Point corner : {Point{80, 80}, Point{220, 80}, Point{80, 220}, Point{150, 230}}) {
    CHECK(std::equal(frame.row(int(corner.y)) + 3 * int(corner.x), frame.row(int(corner.y)) + 3 * int(corner.x) + 3,
                     before.row(int(corner.y)) + 3 * int(corner.x)));
  }
  options.opacity = 0;
  Image untouched = before;
  paste_face(untouched, green.data(), size, map, face, options);
  CHECK(difference(untouched, before).pixels == 0);
  const Landmarks outside = moved(canonical_face(), similarity(80, 0, 900, 150));
  paste_face(untouched, green.data(), size, align(outside, size, kPart), outside);
  CHECK(difference(untouched, before).pixels == 0);
}

TEST_CASE("clear_surround leaves the face and makes the rest grey, alike for bytes and floats") {
  constexpr int kSize = 128;
  const Landmarks face = moved(canonical_face(), canonical_to_crop(kSize, kDefaultCoverage));
  std::vector<float> mask(size_t(kSize) * kSize);
  surround_mask(face, kSize, kNetworkPart, mask.data());
  std::vector<uint8_t> bytes(3 * mask.size());
  std::vector<float> floats(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = uint8_t(i * 37 % 251);
    floats[i] = float(bytes[i]) / 255;
  }
  const auto before = bytes;
  clear_surround(bytes.data(), face, kSize, kNetworkPart);
  clear_surround(floats.data(), face, kSize, kNetworkPart);
  int kept = 0, cleared = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (mask[i / 3] == 1) {
      ++kept;
      REQUIRE(bytes[i] == before[i]);
    } else if (mask[i / 3] == 0) {
      ++cleared;
      REQUIRE((bytes[i] == 127 || bytes[i] == 128));
    }
    REQUIRE(floats[i] * 255 == Approx(float(bytes[i])).margin(1.01));
  }
  CHECK(kept > 3 * kSize * kSize / 8);
  CHECK(cleared > 3 * kSize * kSize / 4);
  // The pasted part lies within what the network is shown: nothing grey comes into a picture.
  std::vector<float> pasted(mask.size());
  face_mask(face, kSize, {}, pasted.data());
  for (size_t i = 0; i < mask.size(); ++i) CHECK((pasted[i] == 0 || mask[i] == 1));
}
