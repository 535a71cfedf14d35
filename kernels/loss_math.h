// What the pointwise losses of kernels/loss.h make of the difference d = y - t, the same for every backend.
#pragma once

#include "kernels/both.h"

namespace doppel {

struct AbsoluteError {
  DOPPEL_BOTH static float error(float d) { return d < 0 ? -d : d; }
  DOPPEL_BOTH static float slope(float d) { return d > 0 ? 1.f : d < 0 ? -1.f : 0.f; }
};

struct SquaredError {
  DOPPEL_BOTH static float error(float d) { return d * d; }
  DOPPEL_BOTH static float slope(float d) { return 2 * d; }
};

}  // namespace doppel
