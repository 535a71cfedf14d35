// What the launchers of crop and paste work out on the host before the first pixel, the same for every backend; and
// their checks.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/frame.h"

namespace doppel {

inline void require(bool good, const char* what) {
  if (!good) throw std::invalid_argument(what);
}

inline Affine checked_inverse(const Affine& map) {
  const Affine inverse = map.inverse();
  const float sum = inverse.a + inverse.b + inverse.c + inverse.d + inverse.tx + inverse.ty;
  require(std::isfinite(sum), "frame kernel: the transform is not invertible");
  return inverse;
}

inline float widening(float a, float b) {
  return std::max(1.0f, std::hypot(a, b));
}

// From the crop back to the frame, and how much the kernel widens.
struct CropGeometry {
  Affine back;
  float scale_x, scale_y;
};
inline CropGeometry crop_geometry(bool has_pixels, const Affine& frame_to_crop) {
  require(has_pixels, "crop: the frame is empty");
  const Affine back = checked_inverse(frame_to_crop);
  return {back, widening(back.a, back.b), widening(back.c, back.d)};
}

// The frame's columns x0 .. x1 - 1 and rows y0 .. y1 - 1 hold the square of the face.
struct PasteGeometry {
  int x0, x1, y0, y1;
  float scale_x, scale_y;
};
inline PasteGeometry paste_geometry(const ImageView& frame, int size, int mask_size, const Affine& frame_to_face) {
  require(size >= 2 && mask_size >= 2, "paste: a face and a mask need at least 2 x 2 pixels");
  const Affine back = checked_inverse(frame_to_face);
  const float edge = float(size) - 0.5f;
  float left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
  for (const Point corner : {Point{-0.5f, -0.5f}, Point{edge, -0.5f}, Point{-0.5f, edge}, Point{edge, edge}}) {
    const Point p = back(corner);
    left = std::min(left, p.x);
    right = std::max(right, p.x);
    top = std::min(top, p.y);
    bottom = std::max(bottom, p.y);
  }
  const auto within = [](float v, int count) { return int(std::clamp(v, 0.0f, float(count))); };
  return {within(std::floor(left), frame.width),      within(std::ceil(right) + 1, frame.width),
          within(std::floor(top), frame.height),      within(std::ceil(bottom) + 1, frame.height),
          widening(frame_to_face.a, frame_to_face.b), widening(frame_to_face.c, frame_to_face.d)};
}

}  // namespace doppel
