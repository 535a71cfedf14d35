// Small helpers of the face tests.
#pragma once

#include <cmath>

#include "kernels/landmarks.h"

namespace doppel {

inline Affine similarity(float scale, float degrees, float tx, float ty) {
  const float r = degrees * 0.01745329f, c = scale * std::cos(r), s = scale * std::sin(r);
  return {c, -s, tx, s, c, ty};
}

}  // namespace doppel
