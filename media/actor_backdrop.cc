// The rooms behind the actors, out of focus: so they may be drawn small and enlarged.
#include "media/actor_frame.h"

namespace doppel {
namespace {

// 1 inside a rectangle with edges `soft` wide.
float box(float x, float y, float x0, float y0, float x1, float y1, float soft) {
  return smooth_step(x0 - soft, x0 + soft, x) * smooth_step(x1 + soft, x1 - soft, x) *
         smooth_step(y0 - soft, y0 + soft, y) * smooth_step(y1 + soft, y1 - soft, y);
}

// A study: a shelf of books, a wall with a picture, a lamp, a window.
Vec3 study(float x, float y) {
  Vec3 c = mix(Vec3{0.30f, 0.255f, 0.21f}, Vec3{0.20f, 0.165f, 0.135f}, saturate(y)) * (1 - 0.25f * std::abs(x - 0.5f));
  const float shelf = box(x, y, -0.75f, -0.5f, 0.24f, 0.93f, 0.02f);
  Vec3 books{0.06f, 0.035f, 0.022f};
  const int nearest = int(std::floor((x + 0.72f) / 0.053f));  // only this book and its neighbours reach here
  for (int row = 0; row < 3 && shelf > 0; ++row) {
    const float top = 0.04f + 0.31f * float(row);
    for (int k = std::max(nearest - 1, 0); k <= std::min(nearest + 1, 17); ++k) {
      const float at = -0.72f + 0.053f * float(k), tall = 0.17f + 0.07f * hash01(k, row, 1);
      const Vec3 cover = Vec3{hash01(k, row, 2), hash01(k, row, 3) * 0.75f, hash01(k, row, 4) * 0.6f} * 0.10f +
                         Vec3{0.045f, 0.035f, 0.028f};
      books = mix(books, cover, box(x, y, at, top + 0.25f - tall, at + 0.044f, top + 0.25f, 0.018f));
    }
  }
  c = mix(c, books, shelf);
  c = mix(c, Vec3{0.10f, 0.065f, 0.04f}, box(x, y, 0.74f, 0.10f, 1.0f, 0.42f, 0.015f));
  c = mix(c, mix(Vec3{0.22f, 0.30f, 0.33f}, Vec3{0.36f, 0.28f, 0.18f}, saturate((y - 0.13f) * 4)),
          box(x, y, 0.765f, 0.13f, 0.975f, 0.39f, 0.014f));
  c = c + Vec3{0.60f, 0.40f, 0.19f} * (0.5f * std::exp(-((x - 1.2f) * (x - 1.2f) + (y - 0.5f) * (y - 0.5f)) * 14));
  return c + Vec3{0.75f, 0.85f, 0.95f} * (0.9f * box(x, y, 1.38f, -0.2f, 1.72f, 0.72f, 0.03f));
}

// An autumn garden: sky through brown leaves, discs of light.
Vec3 garden(float x, float y) {
  Vec3 c = mix(Vec3{0.38f, 0.31f, 0.24f}, Vec3{0.15f, 0.105f, 0.07f},
               smooth_step(0.0f, 0.75f, y + 0.25f * (noise3({x * 3, y * 3, 1}) - 0.5f)));
  c = mix(c, Vec3{0.10f, 0.062f, 0.036f}, 0.7f * smooth_step(0.35f, 0.7f, noise3({x * 4.5f, y * 4.5f, 5})));
  for (int k = 0; k < 46; ++k) {
    const float bx = -0.7f + 2.4f * hash01(k, 1, 8), by = 0.95f * hash01(k, 2, 8) * hash01(k, 5, 8),
                r = mix(0.025f, 0.075f, hash01(k, 3, 8));
    const float dx = x - bx, dy = y - by;
    if (std::abs(dx) > r + 0.02f || std::abs(dy) > r + 0.02f) continue;
    const float disc = smooth_step(r + 0.010f, r - 0.010f, std::sqrt(dx * dx + dy * dy));
    c = c + mix(Vec3{0.36f, 0.24f, 0.11f}, Vec3{0.46f, 0.38f, 0.28f}, hash01(k, 4, 8)) * (disc * 0.35f);
  }
  return mix(c, Vec3{0.11f, 0.085f, 0.065f}, 0.8f * box(x, y, 1.12f, -0.5f, 1.26f, 1.5f, 0.02f));
}

}  // namespace

Vec3 Backdrop::at(float x, float y) const {
  const float fx = (x + 0.5f) * 0.25f + 0.5f, fy = (y + 0.5f) * 0.25f + 0.5f;
  const int ix = std::clamp(int(fx), 0, side - 2), iy = std::clamp(int(fy), 0, side - 2);
  const float tx = fx - float(ix), ty = fy - float(iy);
  const Vec3* row = &colours[size_t(iy) * size_t(side) + size_t(ix)];
  return mix(mix(row[0], row[1], tx), mix(row[side], row[side + 1], tx), ty);
}

Backdrop make_backdrop(const Performance& p, int size) {
  Backdrop back;
  back.side = size / 4 + 3;
  back.colours.resize(size_t(back.side) * size_t(back.side));
  const float step = 4.0f / float(size), bright = 0.75f + 0.25f * p.fill;
  for (int j = 0; j < back.side; ++j) {
    for (int i = 0; i < back.side; ++i) {
      const float x = (float(i) - 0.5f) * step + p.pan, y = (float(j) - 0.5f) * step;
      back.colours[size_t(j) * size_t(back.side) + size_t(i)] =
          (p.place == Actor::a ? study(x, y) : garden(x, y)) * bright;
    }
  }
  return back;
}

}  // namespace doppel
