// 2D affine maps and points. Pixel coordinates have their origin at the centre of the top-left pixel: pixel (0, 0)
// covers
// [-0.5, 0.5) on both axes, as in OpenCV and dlib.
#pragma once

namespace doppel {

struct Point {
  float x = 0;
  float y = 0;
};

// x' = a x + b y + tx;  y' = c x + d y + ty
struct Affine {
  float a = 1, b = 0, tx = 0;
  float c = 0, d = 1, ty = 0;

  constexpr Point operator()(Point p) const { return {a * p.x + b * p.y + tx, c * p.x + d * p.y + ty}; }

  // (*this)(inner(p))
  constexpr Affine after(const Affine& inner) const {
    return {a * inner.a + b * inner.c, a * inner.b + b * inner.d, a * inner.tx + b * inner.ty + tx,
            c * inner.a + d * inner.c, c * inner.b + d * inner.d, c * inner.tx + d * inner.ty + ty};
  }

  // The determinant must not be 0.
  constexpr Affine inverse() const {
    const float k = 1 / (a * d - b * c);
    return {d * k, -b * k, (b * ty - d * tx) * k, -c * k, a * k, (c * tx - a * ty) * k};
  }
};

}  // namespace doppel
