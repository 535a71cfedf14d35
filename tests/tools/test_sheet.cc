#include <catch2/catch.hpp>
#include <cstring>

#include "tools/sheet.h"

using namespace doppel;

namespace {

Image filled(int width, int height, uint8_t r, uint8_t g, uint8_t b) {
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      uint8_t* p = image.row(y) + 3 * x;
      p[0] = r, p[1] = g, p[2] = b;
    }
  }
  return image;
}

int count(const Image& image, uint8_t r, uint8_t g, uint8_t b) {
  int found = 0;
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      const uint8_t* p = image.row(y) + 3 * x;
      found += p[0] == r && p[1] == g && p[2] == b;
    }
  }
  return found;
}

}  // namespace

TEST_CASE("each cell of a sheet shows its picture, and nothing else changes") {
  Sheet sheet({"one", "two"}, {"left", "right"}, 40);
  const Image before = sheet.image();
  sheet.put(0, 0, filled(30, 20, 255, 0, 0));
  sheet.put(1, 1, filled(100, 100, 0, 255, 0), {50, 50, 20});
  CHECK(count(sheet.image(), 255, 0, 0) == 40 * 40);
  CHECK(count(sheet.image(), 0, 255, 0) == 40 * 40);
  int changed = 0;
  for (size_t i = 0; i < before.size_bytes(); i += 3) {
    changed += std::memcmp(before.data() + i, sheet.image().data() + i, 3) != 0;
  }
  CHECK(changed == 2 * 40 * 40);
}

TEST_CASE("a view shows the square around its point") {
  // Left half dark, right half bright; the view lies in the bright half but for its left quarter.
  Image frame = filled(80, 40, 0, 0, 0);
  for (int y = 0; y < 40; ++y) std::memset(frame.row(y) + 3 * 40, 200, 3 * 40);
  Sheet sheet({""}, {""}, 20);
  sheet.put(0, 0, frame, {44.5, 19.5, 20});  // 34.5 .. 54.5: 5 dark columns of 20 (0.5 of a column is an edge)
  const int bright = count(sheet.image(), 200, 200, 200), dark = count(sheet.image(), 0, 0, 0);
  CHECK(bright + dark + 40 >= 400);  // but for the blurred edge, all of the cell is one or the other
  CHECK(dark >= 80);
  CHECK(dark <= 120);
}

TEST_CASE("labels are drawn, and differ") {
  const Image yaw = Sheet({"yaw"}, {"a"}, 80).image(), jaw = Sheet({"jaw"}, {"a"}, 80).image();
  REQUIRE(yaw.size_bytes() == jaw.size_bytes());
  CHECK(std::memcmp(yaw.data(), jaw.data(), yaw.size_bytes()) != 0);
  CHECK(count(yaw, 40, 40, 40) > 30);
}
