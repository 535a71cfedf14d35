// Image losses on fp32 pictures y (prediction) and t (target), both [N,H,W,C], values nominally 0..1. Each launcher
// writes the loss, a single fp32 number, and the gradient `dy` of (weight * loss) with respect to y, which it writes
// or, with `accumulate`, adds to what is there. Sums run over fixed ranges in a fixed order and in double. Workspaces
// are 64-byte aligned, of as many bytes as the function beside the launcher says; 0 bytes: not read, may be null.
//
// Positions have weights: f = focus_weight times the mask, where `mask` [N,H,W] (fp32, 0..1) is not null. Means are
// over all elements, masked or not.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/both.h"
#include "kernels/stream.h"

namespace doppel {

struct LossShape {
  int n, h, w, c;
  float focus = 0;  // 0..1: how much less the corners count than the middle, where faces are
};

// Weight of the position (x, y), in pixels, of a picture of h x w: 1 within the ellipse that nearly fills the picture,
// fading to 1 - focus in the corners (smoothstep in the elliptical radius, 1 at the middle of each edge).
DOPPEL_BOTH inline float focus_weight(float focus, float x, float y, int h, int w) {
  const float u = (2 * x + 1) / float(w) - 1, v = (2 * y + 1) / float(h) - 1;
  const float r = std::sqrt(u * u + v * v);
  const float t = std::min(std::max((r - 0.85f) / 0.35f, 0.f), 1.f);
  return 1 - focus * t * t * (3 - 2 * t);
}

// Of l1_loss and mse_loss.
size_t pointwise_loss_workspace(const LossShape& shape, Stream stream);

// Mean absolute error: mean of f |y - t|. The subgradient at 0 is 0.
void l1_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
             float weight, bool accumulate, void* workspace, Stream stream);

// Mean squared error: mean of f (y - t)^2.
void mse_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
              float weight, bool accumulate, void* workspace, Stream stream);

// Structural dissimilarity, mean of f (1 - SSIM) / 2 over all positions of the window that lie inside the picture
// (VALID), all channels and pictures; f is that of the window's centre. SSIM as Wang, Bovik, Sheikh, Simoncelli, "Image
// quality assessment", 2004, equation 13, dynamic range 1: a normalised Gaussian window of `window` taps (odd,
// 3..kMaxDssimWindow, at most h and w).
constexpr int kMaxDssimWindow = 23;
struct Dssim {
  int window = 11;
  float sigma = 1.5f;
  float k1 = 0.01f;
  float k2 = 0.03f;
};
// Multi-scale: the mean of the losses of `count` windows. A small one sees texture, a large one shading and outline.
constexpr int kMaxDssimScales = 3;
struct DssimScales {
  int count = 1;  // 1 .. kMaxDssimScales
  Dssim scale[kMaxDssimScales];

  DssimScales() = default;
  DssimScales(const Dssim& one) { scale[0] = one; }
};
// Throws std::invalid_argument when a field is out of the ranges above.
void check(const DssimScales& scales, const LossShape& shape);

size_t dssim_workspace(const LossShape& shape, const DssimScales& scales, Stream stream);
void dssim_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
                const DssimScales& scales, float weight, bool accumulate, void* workspace, Stream stream);

// losses [4]: total, L1, MSE, DSSIM. Writes losses[0] = l1 losses[1] + mse losses[2] + dssim losses[3]. A loss that was
// not computed because its weight is not above 0 (MSE, DSSIM) is set to 0 first.
void total_loss(float* losses, float l1, float mse, float dssim, Stream stream);

}  // namespace doppel
