// Double-precision references of the operators: the formulas of the headers in kernels/, as few obvious lines as
// possible. Shapes and orders are those of the operators.
#pragma once

#include <vector>

#include "kernels/activation.h"
#include "kernels/adam.h"
#include "kernels/conv2d.h"
#include "kernels/dense.h"
#include "kernels/loss.h"
#include "kernels/pixel_shuffle.h"
#include "kernels/warp.h"

namespace doppel::reference {

using Doubles = std::vector<double>;

double activate(Activation f, double z, double slope);
double activation_derivative(Activation f, double saved, double slope);  // from y = f(z), or z: saves_input()

// z without the epilogue; y, dz with it. `b` empty: no bias.
Doubles conv2d_z(const Conv2d& conv, const Doubles& x, const Doubles& w, const Doubles& b);
Doubles conv2d_y(const Conv2d& conv, const Epilogue& epilogue, const Doubles& z);
Doubles conv2d_dz(const Conv2d& conv, const Epilogue& epilogue, const Doubles& dy, const Doubles& saved);
Doubles conv2d_db(const Conv2d& conv, const Doubles& dz);
Doubles conv2d_dx(const Conv2d& conv, const Doubles& dz, const Doubles& w);
Doubles conv2d_dw(const Conv2d& conv, const Doubles& x, const Doubles& dz);

Doubles pixel_shuffle(const PixelShuffle& p, const Doubles& x);
Doubles pixel_unshuffle(const PixelShuffle& p, const Doubles& y);

Doubles dense_y(const Dense& dense, const Doubles& x, const Doubles& w, const Doubles& b);
Doubles dense_dx(const Dense& dense, const Doubles& dy, const Doubles& w);
Doubles dense_dw(const Dense& dense, const Doubles& x, const Doubles& dy);
Doubles dense_db(const Dense& dense, const Doubles& dy);

struct Loss {
  double value = 0;
  Doubles dy;  // of value
};
// mask [N,H,W], or empty: 1 everywhere.
Loss l1(const Doubles& y, const Doubles& t, const Doubles& mask = {});
Loss mse(const Doubles& y, const Doubles& t, const Doubles& mask = {});
// `condition`, when wanted: how much larger the variances' terms are than what is left of them, at the worst window.
Loss dssim(const LossShape& shape, const Dssim& dssim, const Doubles& y, const Doubles& t, double* condition = nullptr,
           const Doubles& mask = {});

struct AdamState {
  Doubles w, m, v, average;  // average may be empty
};
// Step number t = 1, 2, ... `norm`: the gradient's, when clipping. Without learning-rate dropout.
void adam(AdamState& state, const Doubles& g, double norm, double lr, int t, const AdamOptions& options);

// The similarity p -> (a, b, -+b, +-a) p + t that takes `from` nearest to `to`, mirrored or not, whichever is nearer:
// a linear least-squares problem in (a, b, tx, ty), solved for both kinds. [a b tx; c d ty] row by row.
struct Similarity {
  double a, b, tx, c, d, ty;
  double residual;  // sum of squared distances
};
Similarity fit_similarity(const std::vector<Point>& from, const std::vector<Point>& to);

// Input and target of one sample, [T, T, 3] each.
struct Warped {
  Doubles input, target;
};
Warped warp(const Warp& warp, const WarpSample& sample, const uint8_t* face, const float shift[3]);

}  // namespace doppel::reference
