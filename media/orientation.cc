#include "media/orientation.h"

#include <algorithm>
#include <cstring>

namespace doppel {
namespace {

struct Position {
  int x, y;
};

// Where the shown pixel (x, y) is stored, in a stored picture of width x height.
Position stored_position(int x, int y, int orientation, int width, int height) {
  Position p = swaps_sides(orientation) ? Position{y, x} : Position{x, y};
  if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) p.x = width - 1 - p.x;
  if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) p.y = height - 1 - p.y;
  return p;
}

}  // namespace

int inverse_orientation(int orientation) {
  if (orientation == 6) return 8;
  if (orientation == 8) return 6;
  return orientation;
}

void turn_upright(ConstImageView stored, int orientation, ImageView shown) {
  if (orientation <= 1 || orientation > 8) {
    for (int y = 0; y < shown.height; ++y) std::memcpy(shown.row(y), stored.row(y), size_t(3) * shown.width);
    return;
  }
  const auto address = [&](int x, int y) {
    const Position p = stored_position(x, y, orientation, stored.width, stored.height);
    return p.y * stored.stride + std::ptrdiff_t(3) * p.x;
  };
  const std::ptrdiff_t step = address(1, 0) - address(0, 0);
  for (int y = 0; y < shown.height; ++y) {
    std::ptrdiff_t from = address(0, y);
    uint8_t* to = shown.row(y);
    for (int x = 0; x < shown.width; ++x, from += step, to += 3) std::memcpy(to, stored.data + from, 3);
  }
}

Image upright(ConstImageView stored, int orientation) {
  const bool swapped = swaps_sides(orientation);
  Image shown(swapped ? stored.height : stored.width, swapped ? stored.width : stored.height);
  turn_upright(stored, orientation, shown);
  return shown;
}

Rect stored_rect(const Rect& shown, int orientation, int width, int height) {
  if (shown.empty()) return {};
  const Position a = stored_position(shown.x, shown.y, orientation, width, height);
  const Position b = stored_position(shown.x + shown.width - 1, shown.y + shown.height - 1, orientation, width, height);
  const int x0 = std::min(a.x, b.x), y0 = std::min(a.y, b.y);
  return {x0, y0, std::max(a.x, b.x) - x0 + 1, std::max(a.y, b.y) - y0 + 1};
}

int orientation_of(const std::array<int32_t, 9>& m) {
  // Signs of a, b, c, d for the orientations 1 to 8. Only exact ones count: a scaled or slanted matrix is left alone.
  constexpr int kSigns[8][4] = {{1, 0, 0, 1}, {-1, 0, 0, 1}, {-1, 0, 0, -1}, {1, 0, 0, -1},
                                {0, 1, 1, 0}, {0, 1, -1, 0}, {0, -1, -1, 0}, {0, -1, 1, 0}};
  constexpr int32_t kOne = 1 << 16;
  for (int i = 0; i < 8; ++i) {
    const int* s = kSigns[i];
    if (m[0] == s[0] * kOne && m[1] == s[1] * kOne && m[3] == s[2] * kOne && m[4] == s[3] * kOne) return i + 1;
  }
  return 1;
}

}  // namespace doppel
