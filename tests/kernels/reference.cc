#include "kernels/reference.h"

#include <algorithm>
#include <cmath>

namespace doppel::reference {

double activate(Activation f, double z, double slope) {
  if (f == Activation::leaky_relu) return z > 0 ? z : slope * z;
  if (f == Activation::sigmoid) return 1 / (1 + std::exp(-z));
  if (f == Activation::x_cos_x) return z * std::cos(z);
  return z;
}

double activation_derivative(Activation f, double saved, double slope) {
  if (f == Activation::leaky_relu) return saved > 0 ? 1 : slope;
  if (f == Activation::sigmoid) return saved * (1 - saved);
  if (f == Activation::x_cos_x) return std::cos(saved) - saved * std::sin(saved);
  return 1;
}

// Calls visit(index into z, index into x, index into w) for every product of the convolution.
template <typename Visit>
static void for_products(const Conv2d& v, Visit&& visit) {
  size_t zi = 0;
  for (int n = 0; n < v.n; ++n)
    for (int p = 0; p < v.out_h(); ++p)
      for (int q = 0; q < v.out_w(); ++q)
        for (int k = 0; k < v.k; ++k, ++zi)
          for (int r = 0; r < v.r; ++r)
            for (int s = 0; s < v.s; ++s) {
              const int i = p * v.stride + r - v.pad_top, j = q * v.stride + s - v.pad_left;
              if (i < 0 || i >= v.h || j < 0 || j >= v.w) continue;
              const size_t xi = ((size_t(n) * size_t(v.h) + size_t(i)) * size_t(v.w) + size_t(j)) * size_t(v.c);
              const size_t wi = ((size_t(k) * size_t(v.r) + size_t(r)) * size_t(v.s) + size_t(s)) * size_t(v.c);
              for (size_t c = 0; c < size_t(v.c); ++c) visit(zi, xi + c, wi + c);
            }
}

static size_t input_size(const Conv2d& v) {
  return size_t(v.n) * size_t(v.h) * size_t(v.w) * size_t(v.c);
}

Doubles conv2d_z(const Conv2d& conv, const Doubles& x, const Doubles& w, const Doubles& b) {
  Doubles z(size_t(conv.out_pixels()) * size_t(conv.k));
  for (size_t i = 0; i < z.size(); ++i) z[i] = b.empty() ? 0 : b[i % size_t(conv.k)];
  for_products(conv, [&](size_t zi, size_t xi, size_t wi) { z[zi] += x[xi] * w[wi]; });
  return z;
}

Doubles conv2d_dx(const Conv2d& conv, const Doubles& dz, const Doubles& w) {
  Doubles dx(input_size(conv));
  for_products(conv, [&](size_t zi, size_t xi, size_t wi) { dx[xi] += dz[zi] * w[wi]; });
  return dx;
}

Doubles conv2d_dw(const Conv2d& conv, const Doubles& x, const Doubles& dz) {
  Doubles dw(size_t(conv.weights()));
  for_products(conv, [&](size_t zi, size_t xi, size_t wi) { dw[wi] += dz[zi] * x[xi]; });
  return dw;
}

static PixelShuffle shuffle_of(const Conv2d& conv) {
  return {conv.n, conv.out_h(), conv.out_w(), conv.k / 4, conv.out_type};
}

Doubles conv2d_y(const Conv2d& conv, const Epilogue& epilogue, const Doubles& z) {
  Doubles y = z;
  for (double& e : y) e = activate(epilogue.activation, e, double(epilogue.slope));
  return epilogue.shuffle ? pixel_shuffle(shuffle_of(conv), y) : y;
}

Doubles conv2d_dz(const Conv2d& conv, const Epilogue& epilogue, const Doubles& dy, const Doubles& saved) {
  Doubles dz = dy;
  for (size_t i = 0; i < dz.size(); ++i)
    dz[i] *= activation_derivative(epilogue.activation, saved[i], double(epilogue.slope));
  return epilogue.shuffle ? pixel_unshuffle(shuffle_of(conv), dz) : dz;
}

Doubles conv2d_db(const Conv2d& conv, const Doubles& dz) {
  Doubles db(size_t(conv.k));
  for (size_t i = 0; i < dz.size(); ++i) db[i % size_t(conv.k)] += dz[i];
  return db;
}

// Calls visit(index into the large picture, index into the small one) for every element.
template <typename Visit>
static void for_shuffled(const PixelShuffle& p, Visit&& visit) {
  size_t large = 0;
  for (int n = 0; n < p.n; ++n)
    for (int y = 0; y < 2 * p.h; ++y)
      for (int x = 0; x < 2 * p.w; ++x)
        for (int c = 0; c < p.c; ++c, ++large) {
          const size_t pixel = (size_t(n) * size_t(p.h) + size_t(y / 2)) * size_t(p.w) + size_t(x / 2);
          visit(large, pixel * 4 * size_t(p.c) + size_t(2 * (y % 2) + x % 2) * size_t(p.c) + size_t(c));
        }
}

Doubles pixel_shuffle(const PixelShuffle& p, const Doubles& x) {
  Doubles y(x.size());
  for_shuffled(p, [&](size_t large, size_t small) { y[large] = x[small]; });
  return y;
}

Doubles pixel_unshuffle(const PixelShuffle& p, const Doubles& y) {
  Doubles x(y.size());
  for_shuffled(p, [&](size_t large, size_t small) { x[small] = y[large]; });
  return x;
}

// Calls visit(index into y, index into x, index into w) for every product of the dense layer.
template <typename Visit>
static void for_dense(const Dense& d, Visit&& visit) {
  const size_t c = size_t(d.c), k = size_t(d.k);
  for (size_t n = 0; n < size_t(d.n); ++n)
    for (size_t j = 0; j < k; ++j)
      for (size_t i = 0; i < c; ++i) visit(n * k + j, n * c + i, j * c + i);
}

Doubles dense_y(const Dense& d, const Doubles& x, const Doubles& w, const Doubles& b) {
  Doubles y(size_t(d.n) * size_t(d.k));
  for (size_t i = 0; i < y.size(); ++i) y[i] = b[i % size_t(d.k)];
  for_dense(d, [&](size_t yi, size_t xi, size_t wi) { y[yi] += x[xi] * w[wi]; });
  return y;
}

Doubles dense_dx(const Dense& d, const Doubles& dy, const Doubles& w) {
  Doubles dx(size_t(d.n) * size_t(d.c));
  for_dense(d, [&](size_t yi, size_t xi, size_t wi) { dx[xi] += dy[yi] * w[wi]; });
  return dx;
}

Doubles dense_dw(const Dense& d, const Doubles& x, const Doubles& dy) {
  Doubles dw(size_t(d.k) * size_t(d.c));
  for_dense(d, [&](size_t yi, size_t xi, size_t wi) { dw[wi] += dy[yi] * x[xi]; });
  return dw;
}

Doubles dense_db(const Dense& d, const Doubles& dy) {
  Doubles db(size_t(d.k));
  for (size_t i = 0; i < dy.size(); ++i) db[i % size_t(d.k)] += dy[i];
  return db;
}

void adam(AdamState& state, const Doubles& g, double norm, double lr, int t, const AdamOptions& options) {
  const double beta1 = double(options.beta1), beta2 = double(options.beta2);
  const double clip = options.clip_norm > 0 ? std::min(1.0, double(options.clip_norm) / norm) : 1.0;
  const double decay = std::min(double(options.ema_decay), (1.0 + t) / (10.0 + t));
  for (size_t i = 0; i < g.size(); ++i) {
    const double e = clip * g[i];
    double &w = state.w[i], &m = state.m[i], &v = state.v[i];
    m = beta1 * m + (1 - beta1) * e;
    if (options.belief)
      v = beta2 * v + (1 - beta2) * (e - m) * (e - m) + double(options.eps);
    else
      v = beta2 * v + (1 - beta2) * e * e;
    w -= lr * m / (1 - std::pow(beta1, t)) / (std::sqrt(v / (1 - std::pow(beta2, t))) + double(options.eps));
    if (!state.average.empty()) state.average[i] += (1 - decay) * (w - state.average[i]);
  }
}

}  // namespace doppel::reference
