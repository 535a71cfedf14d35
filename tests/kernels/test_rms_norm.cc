// RMS normalisation against a double-precision reference and by finite differences.
#include "kernels/rms_norm.h"

#include "kernels/derivative.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

double inverse_rms_of(const double* x, const RmsNorm& n) {
  double squares = 0;
  for (int i = 0; i < n.width; ++i) squares += x[i] * x[i];
  return 1 / std::sqrt(squares / n.width + double(n.eps));
}

Doubles forward(const Doubles& x, const RmsNorm& n) {
  Doubles y = x;
  for (int64_t row = 0; row < n.rows; ++row) {
    const double r = inverse_rms_of(&x[size_t(row * n.width)], n);
    for (int64_t i = row * n.width; i < (row + 1) * n.width; ++i) y[size_t(i)] *= r;
  }
  return y;
}

// By the quotient rule, written out: dx_j = sum_i dy_i d(x_i r)/dx_j.
Doubles backward(const Doubles& dy, const Doubles& x, const RmsNorm& n) {
  Doubles dx(x.size());
  for (int64_t row = 0; row < n.rows; ++row) {
    const int64_t first = row * n.width;
    const double r = inverse_rms_of(&x[size_t(first)], n);
    double product = 0;
    for (int64_t i = first; i < first + n.width; ++i) product += dy[size_t(i)] * x[size_t(i)];
    for (int64_t j = first; j < first + n.width; ++j)
      dx[size_t(j)] = dy[size_t(j)] * r - product * r * r * r * x[size_t(j)] / n.width;
  }
  return dx;
}

constexpr RmsNorm kCases[] = {{1, 1, DType::f32},    {3, 1, DType::bf16},   {2, 7, DType::f32},
                              {5, 31, DType::bf16},  {4, 33, DType::f32},   {2, 256, DType::f32},
                              {3, 257, DType::bf16}, {2, 1000, DType::f32}, {1, 5000, DType::f32}};

}  // namespace

TEST_CASE("RMS normalisation agrees with the reference", "[rms_norm][emulator]") {
  on_backends([](Stream stream) {
    for (RmsNorm n : kCases)
      for (const float eps : {1e-6f, 0.1f}) {
        n.eps = eps;
        INFO(n.rows << " rows of " << n.width << " " << name_of(n.type) << " eps " << eps);
        const int64_t count = n.rows * n.width;
        const Buffer x(n.type, uniform(1, count, -3, 3)), dy(n.type, uniform(2, count));
        Buffer y(n.type, count), dx(n.type, count);
        const double sum = sum_error(n.width);

        const Doubles want = forward(x.values(), n);
        rms_norm_forward(y.data(), x.data(), n, stream);
        CHECK(mismatch(y, want, scaled(absolute(want), sum + 4 * kRound + 1.01 * unit_roundoff(n.type))) == "");

        const Doubles want_dx = backward(dy.values(), x.values(), n);
        rms_norm_backward(dx.data(), dy.data(), x.data(), n, stream);
        // The two terms may cancel, and each is off by its own size; |mean(dy x)| <= rms(x) for |dy| <= 1, and
        // r rms(x) < 1.
        const Doubles values = x.values();
        Doubles allowed(want_dx.size());
        for (int64_t row = 0; row < n.rows; ++row) {
          const double r = inverse_rms_of(&values[size_t(row * n.width)], n);
          for (int64_t i = row * n.width; i < (row + 1) * n.width; ++i)
            allowed[size_t(i)] = r * (std::abs(dy[i]) + r * std::abs(x[i])) * (4 * sum + 8 * kRound) +
                                 1.01 * unit_roundoff(n.type) * std::abs(want_dx[size_t(i)]);
        }
        CHECK(mismatch(dx, want_dx, allowed) == "");
      }
  });
}

TEST_CASE("RMS normalisation works in place and has the same bits in all orders", "[rms_norm][emulator]") {
  on_backends([](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16}) {
      const RmsNorm n{3, 300, type};
      const int64_t count = n.rows * n.width;
      Buffer x(type, uniform(1, count)), dy(type, uniform(2, count)), y(type, count), dx(type, count);
      rms_norm_forward(y.data(), x.data(), n, stream);
      rms_norm_backward(dx.data(), dy.data(), x.data(), n, stream);
      for (const int threads : {1, 3}) {
        Buffer place(type, x.values()), as_dy(type, dy.values()), as_x(type, x.values());
        with_threads(threads, [&] {
          rms_norm_forward(place.data(), place.data(), n, stream);
          rms_norm_backward(as_dy.data(), as_dy.data(), x.data(), n, stream);
          rms_norm_backward(as_x.data(), dy.data(), as_x.data(), n, stream);
        });
        CHECK(place.same_bits(y));
        CHECK(as_dy.same_bits(dx));
        CHECK(as_x.same_bits(dx));
      }
    }
  });
}

TEST_CASE("RMS normalisation of zeros is zeros, of NaN is NaN in that row alone", "[rms_norm][emulator]") {
  on_backends([](Stream stream) {
    const RmsNorm n{3, 40, DType::f32};
    Doubles values = uniform(1, 120);
    std::fill_n(values.begin(), 40, 0.0);
    values[50] = double(NAN);
    const Buffer x(DType::f32, values), dy(DType::f32, Doubles(120, 1.0));
    Buffer y(DType::f32, 120), dx(DType::f32, 120);
    rms_norm_forward(y.data(), x.data(), n, stream);
    rms_norm_backward(dx.data(), dy.data(), x.data(), n, stream);
    for (int64_t i = 0; i < 40; ++i) {
      CHECK(y[i] == 0);
      CHECK(dx[i] == Approx(1000));  // 1 / sqrt(eps)
      CHECK(std::isnan(y[40 + i]));
      CHECK(std::isnan(dx[40 + i]));
      CHECK(std::isfinite(y[80 + i]));
    }
  });
}

TEST_CASE("RMS normalisation's gradient agrees with finite differences", "[rms_norm][emulator]") {
  on_backends(emulator::Order::reverse, [](Stream stream) {
    for (const RmsNorm& n : {RmsNorm{2, 33, DType::f32, 0.01f}, RmsNorm{3, 300, DType::f32}}) {
      const int64_t count = n.rows * n.width;
      Buffer x(DType::f32, uniform(1, count)), dy(DType::f32, uniform(2, count)), y(DType::f32, count),
          dx(DType::f32, count);
      rms_norm_backward(dx.data(), dy.data(), x.data(), n, stream);
      for (const uint64_t seed : {3, 4, 5})
        check_derivative(x, y, dy.values(), dx, seed, [&] { rms_norm_forward(y.data(), x.data(), n, stream); });
    }
  });
}
