// Finite differences of launchers in fp32, on any backend.
//
// The scalar is g . y for fixed random g; its derivative along a direction d of an input is (gradient . d). Along
// random signs that is about as large as the gradient's norm, so errors are measured against the norm. With steps of
// 2^-9 the fp32 roundings of y cost about 2^-24 sqrt(terms) / 2^-9 of it, and a third derivative that is a few times
// the first 2^-18 times that: a thousandth covers both, while a wrong rule is off by about the norm itself. In bf16 a
// step that its roundings do not drown would be too long: there gradients are compared with the double-precision
// reference.
#pragma once

#include "kernels/harness.h"

namespace doppel::testing {

constexpr double kStep = 0x1p-9;
constexpr double kDerivativeTolerance = 1e-3;

// Moves `buffer` along random signs, where value() is the scalar after the forward launcher has run again, and compares
// with `gradient`. Leaves `buffer` as it was.
template <typename Value>
void check_slope(Buffer& buffer, const Buffer& gradient, uint64_t seed, Value&& value,
                 double tolerance = kDerivativeTolerance) {
  const Doubles start = buffer.values(), direction = signs(seed, buffer.count());
  const double measured = central_difference(
      [&](const Doubles& at) {
        for (int64_t i = 0; i < buffer.count(); ++i) buffer.set(i, at[size_t(i)]);
        return value();
      },
      start, direction, kStep);
  for (int64_t i = 0; i < buffer.count(); ++i) buffer.set(i, start[size_t(i)]);
  const double size = norm(gradient.values());
  CHECK(size > 0);
  CHECK(std::abs(measured - dot(gradient.values(), direction)) <= tolerance * size);
}

// The same of g . y.
template <typename Forward>
void check_derivative(Buffer& buffer, const Buffer& y, const Doubles& g, const Buffer& gradient, uint64_t seed,
                      Forward&& forward) {
  check_slope(buffer, gradient, seed, [&] {
    forward();
    return dot(g, y.values());
  });
}

}  // namespace doppel::testing
