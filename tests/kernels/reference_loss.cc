#include <algorithm>
#include <cmath>

#include "kernels/reference.h"

namespace doppel::reference {

// Of element i of pictures with `elements` elements.
static double weight(const Doubles& mask, size_t i, size_t elements) {
  return mask.empty() ? 1 : mask[i / (elements / mask.size())];
}

Loss l1(const Doubles& y, const Doubles& t, const Doubles& mask) {
  const double count = double(y.size());
  Loss loss{0, Doubles(y.size())};
  for (size_t i = 0; i < y.size(); ++i) {
    const double d = y[i] - t[i];
    const double f = weight(mask, i, y.size());
    loss.value += f * std::abs(d) / count;
    loss.dy[i] = f * double((d > 0) - (d < 0)) / count;
  }
  return loss;
}

Loss mse(const Doubles& y, const Doubles& t, const Doubles& mask) {
  const double count = double(y.size());
  Loss loss{0, Doubles(y.size())};
  for (size_t i = 0; i < y.size(); ++i) {
    const double d = y[i] - t[i];
    const double f = weight(mask, i, y.size());
    loss.value += f * d * d / count;
    loss.dy[i] = f * 2 * d / count;
  }
  return loss;
}

Loss dssim(const LossShape& shape, const Dssim& o, const Doubles& y, const Doubles& t, double* condition,
           const Doubles& mask) {
  const int taps = o.window, rows = shape.h - taps + 1, columns = shape.w - taps + 1;
  const double c1 = std::pow(double(o.k1), 2), c2 = std::pow(double(o.k2), 2);
  const double windows = double(shape.n) * rows * columns * shape.c;

  Doubles gauss(static_cast<size_t>(taps));
  double total = 0;
  for (int i = 0; i < taps; ++i) {
    gauss[size_t(i)] = std::exp(-std::pow((i - taps / 2) / double(o.sigma), 2) / 2);
    total += gauss[size_t(i)];
  }
  for (double& g : gauss) g /= total;

  Loss loss{0, Doubles(y.size())};
  if (condition) *condition = 1;
  const auto at = [&](int n, int i, int j, int c) {
    return ((size_t(n) * size_t(shape.h) + size_t(i)) * size_t(shape.w) + size_t(j)) * size_t(shape.c) + size_t(c);
  };
  for (int n = 0; n < shape.n; ++n)
    for (int p = 0; p < rows; ++p)
      for (int q = 0; q < columns; ++q)
        for (int c = 0; c < shape.c; ++c) {
          const auto for_window = [&](auto&& visit) {
            for (int r = 0; r < taps; ++r)
              for (int s = 0; s < taps; ++s) visit(at(n, p + r, q + s, c), gauss[size_t(r)] * gauss[size_t(s)]);
          };
          double my = 0, mt = 0, yy = 0, tt = 0, yt = 0;  // weighted moments
          for_window([&](size_t i, double g) {
            my += g * y[i], mt += g * t[i];
            yy += g * y[i] * y[i], tt += g * t[i] * t[i], yt += g * y[i] * t[i];
          });
          const double a1 = 2 * my * mt + c1, b1 = my * my + mt * mt + c1;
          const double a2 = 2 * (yt - my * mt) + c2, b2 = yy - my * my + tt - mt * mt + c2;
          const double ssim = a1 * a2 / (b1 * b2);
          const double f = weight(mask, at(n, p + taps / 2, q + taps / 2, c), y.size());
          loss.value += f * (1 - ssim) / 2 / windows;
          if (condition) *condition = std::max(*condition, (yy + tt + 2 * yt) / b2);
          // Chain rule through the moments that y is in: my, yy, yt.
          const double d_yt = 2 * a1 / (b1 * b2);
          const double d_yy = -ssim / b2;
          const double d_my = 2 * mt * a2 / (b1 * b2) - 2 * my * ssim / b1 - mt * d_yt - 2 * my * d_yy;
          for_window(
              [&](size_t i, double g) { loss.dy[i] -= f * g * (d_my + 2 * y[i] * d_yy + t[i] * d_yt) / 2 / windows; });
        }
  return loss;
}

}  // namespace doppel::reference
