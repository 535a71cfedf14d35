// Double-precision sampling of a frame, a few obvious lines written from the formulas in kernels/frame.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/affine.h"

namespace doppel::reference {

inline double keys(double x) {
  x = std::abs(x);
  if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
  if (x < 2) return -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2;
  return 0;
}

// value(x, y, c) of a picture without end; all taps within the widened kernel.
template <typename Value>
double sample(Value&& value, double qx, double qy, double sx, double sy, int c) {
  double sum = 0, weights = 0;
  for (int y = int(std::floor(qy - 2 * sy)); y <= int(std::ceil(qy + 2 * sy)); ++y) {
    for (int x = int(std::floor(qx - 2 * sx)); x <= int(std::ceil(qx + 2 * sx)); ++x) {
      const double w = keys((x - qx) / sx) * keys((y - qy) / sy);
      sum += w * value(x, y, c);
      weights += w;
    }
  }
  return sum / weights;
}

struct Back {
  double a, b, tx, c, d, ty, sx, sy;
  explicit Back(const Affine& m) {
    const double k = 1.0 / (double(m.a) * m.d - double(m.b) * m.c);
    a = m.d * k, b = -m.b * k, c = -m.c * k, d = m.a * k;
    tx = -(a * m.tx + b * m.ty), ty = -(c * m.tx + d * m.ty);
    sx = std::max(1.0, std::hypot(a, b)), sy = std::max(1.0, std::hypot(c, d));
  }
  double x(double u, double v) const { return a * u + b * v + tx; }
  double y(double u, double v) const { return c * u + d * v + ty; }
};

inline Affine turned(float scale, float degrees, float tx, float ty) {
  const float r = degrees * 0.01745329f, c = scale * std::cos(r), s = scale * std::sin(r);
  return {c, -s, tx, s, c, ty};
}

}  // namespace doppel::reference
