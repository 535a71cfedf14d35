// The formulas of kernels/loss.h that are the same for every backend: weights of positions, and what the pointwise
// losses make of the difference d = y - t.
#pragma once

#include "kernels/both.h"
#include "kernels/loss.h"

namespace doppel {

// f of kernels/loss.h at (x, y) of picture n.
DOPPEL_BOTH inline float position_weight(const float* mask, const LossShape& s, int64_t n, int y, int x) {
  const float f = s.focus > 0 ? focus_weight(s.focus, float(x), float(y), s.h, s.w) : 1;
  return mask ? f * mask[(n * s.h + y) * s.w + x] : f;
}

struct AbsoluteError {
  DOPPEL_BOTH static float error(float d) { return d < 0 ? -d : d; }
  DOPPEL_BOTH static float slope(float d) { return d > 0 ? 1.f : d < 0 ? -1.f : 0.f; }
};

struct SquaredError {
  DOPPEL_BOTH static float error(float d) { return d * d; }
  DOPPEL_BOTH static float slope(float d) { return 2 * d; }
};

}  // namespace doppel
