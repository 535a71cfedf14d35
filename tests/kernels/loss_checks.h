// What the tests of losses share: pictures, launchers with guarded workspaces, and the check of a value with its
// gradient.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/harness.h"
#include "kernels/loss.h"
#include "kernels/reference.h"

namespace doppel::testing {

inline int64_t elements(const LossShape& s) {
  return int64_t(s.n) * s.h * s.w * s.c;
}

// A smooth picture with some noise, [n,h,w,c].
inline Doubles picture(const LossShape& s, uint64_t seed, double noise) {
  Doubles v = uniform(seed, elements(s), -float(noise), float(noise));
  for (size_t i = 0; i < v.size(); ++i)
    v[i] += 0.5 + 0.3 * std::sin(0.3 * double(i / size_t(s.c) % size_t(s.w)) + 0.1 * double(i / size_t(s.c * s.w)));
  return v;
}

// Runs `launch(loss, dy, accumulate)` with and without accumulation and checks value and gradient. `value_error` is
// relative to the loss; `gradient_error` is absolute, for each element of the reference's gradient.
template <typename Launch>
void check_loss(const reference::Loss& want, float weight, double value_error, const Doubles& gradient_error,
                Stream stream, Launch&& launch) {
  const int64_t count = int64_t(want.dy.size());
  const Doubles gradient = scaled(want.dy, double(weight));
  const Doubles allowed = scaled(gradient_error, std::abs(double(weight)));
  Buffer loss(DType::f32, 1), dy(DType::f32, count);
  launch(loss, dy, false);
  CHECK(mismatch(loss, {want.value}, {value_error}) == "");
  CHECK(mismatch(dy, gradient, allowed) == "");

  Buffer again(DType::f32, 1), sum(DType::f32, uniform(77, count, -0.01f, 0.01f));
  Doubles total = sum.values(), total_allowed = allowed;
  for (size_t i = 0; i < total.size(); ++i) {
    total[i] += gradient[i];
    total_allowed[i] += 2 * kRound * std::abs(total[i]);
  }
  launch(again, sum, true);
  CHECK(again.same_bits(loss));
  CHECK(mismatch(sum, total, total_allowed) == "");

  for (const int threads : {1, 2, 3, 7}) {
    if (stream.device == Device::emulator && threads != 3) continue;
    INFO(threads << " threads");
    Buffer other(DType::f32, 1), other_dy(DType::f32, count);
    with_threads(threads, [&] { launch(other, other_dy, false); });
    CHECK(other.same_bits(loss));
    CHECK(other_dy.same_bits(dy));
  }
}

inline Doubles error_of(const Doubles& gradient, double relative) {
  return scaled(absolute(gradient), relative);
}

// The pointwise losses with a guarded workspace.
using Pointwise = decltype(l1_loss);
inline void pointwise(Pointwise* launch, Buffer& loss, Buffer& dy, Buffer& y, Buffer& t, const LossShape& s,
                      float weight, bool add, Stream stream, const float* mask = nullptr) {
  Buffer workspace(DType::u8, int64_t(pointwise_loss_workspace(s, stream)));
  launch(loss.f32(), dy.f32(), y.f32(), t.f32(), mask, s, weight, add, workspace.data(), stream);
  CHECK(workspace.guards_intact());
}

// DSSIM with a guarded workspace.
inline void dssim(Buffer& loss, Buffer& dy, Buffer& y, Buffer& t, const LossShape& s, const DssimScales& scales,
                  float weight, bool add, Stream stream, const float* mask = nullptr) {
  Buffer workspace(DType::u8, int64_t(dssim_workspace(s, scales, stream)));
  dssim_loss(loss.f32(), dy.f32(), y.f32(), t.f32(), mask, s, scales, weight, add, workspace.data(), stream);
  CHECK(workspace.guards_intact());
}

// What its value is off by, relative to it: fp32 moments are off by about 2^-24 times a random walk over the taps; the
// variances, differences of moments that nearly cancel, are off by `condition` times that relative to what is left of
// them.
inline double dssim_error(const Dssim& o, double condition) {
  return 4 * std::sqrt(2.0 * o.window) * kRound * condition;
}

// Of its gradient, the terms that cancel are as large as the largest element.
inline Doubles error_of_largest(const Doubles& gradient, double relative) {
  const Doubles size = absolute(gradient);
  return Doubles(size.size(), relative * *std::max_element(size.begin(), size.end()));
}

}  // namespace doppel::testing
