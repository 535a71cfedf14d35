// The formulas behind dssim_loss (kernels/loss.h), the same for every backend.
#pragma once

#include <cmath>

#include "kernels/both.h"
#include "kernels/loss.h"

namespace doppel {

// The window's one-dimensional taps; they sum to 1.
inline void dssim_taps(float* taps, const Dssim& d) {
  double sum = 0, raw[kMaxDssimWindow];
  for (int i = 0; i < d.window; ++i) {
    const double x = i - (d.window - 1) / 2.0;
    raw[i] = std::exp(-x * x / (2 * double(d.sigma) * d.sigma));
    sum += raw[i];
  }
  for (int i = 0; i < d.window; ++i) taps[i] = float(raw[i] / sum);
}

// SSIM at one position from the blurred maps, and in place of those that depend on y its derivatives with respect to
// mean(y), mean(y^2), mean(y t).
DOPPEL_BOTH inline float ssim(float& my, float mt, float& yy, float tt, float& yt, float c1, float c2) {
  const float a1 = 2 * my * mt + c1, a2 = 2 * (yt - my * mt) + c2;
  const float b1 = my * my + mt * mt + c1, b2 = (yy - my * my) + (tt - mt * mt) + c2;
  const float inverse = 1 / (b1 * b2), value = a1 * a2 * inverse;
  const float d_my = 2 * mt * (a2 - a1) * inverse - 2 * my * value * (1 / b1 - 1 / b2);
  yt = 2 * a1 * inverse;
  yy = -value / b2;
  my = d_my;
  return value;
}

}  // namespace doppel
