// L1, MSE and the sum of losses against the double-precision reference.
#include "kernels/loss_checks.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr LossShape kShapes[] = {{1, 1, 1, 1}, {1, 5, 7, 3}, {2, 3, 11, 1}, {3, 16, 17, 3}, {2, 64, 64, 3}};
constexpr LossShape kSmallShapes[] = {{1, 1, 1, 1}, {1, 5, 7, 3}, {2, 3, 11, 1}, {2, 17, 31, 3}};

using Shapes = std::vector<LossShape>;
// The emulator takes a microsecond a thread.
Shapes shapes_for(Stream stream) {
  if (stream.device == Device::emulator) return {std::begin(kSmallShapes), std::end(kSmallShapes)};
  return {std::begin(kShapes), std::end(kShapes)};
}

}  // namespace

TEST_CASE("L1 agrees with the reference", "[loss][emulator]") {
  on_backends([](Stream stream) {
    for (const LossShape& s : shapes_for(stream))
      for (const float weight : {1.0f, 0.37f, -2.0f}) {
        Buffer y(DType::f32, uniform(1, elements(s), 0, 1)), t(DType::f32, uniform(2, elements(s), 0, 1));
        for (int64_t i = 0; i < y.count(); i += 5) y.set(i, t[i]);  // the subgradient at 0 is 0
        const reference::Loss want = reference::l1(y.values(), t.values());
        check_loss(
            want, weight, 4 * kRound * want.value, error_of(want.dy, 4 * kRound), stream,
            [&](Buffer& loss, Buffer& dy, bool add) { pointwise(l1_loss, loss, dy, y, t, s, weight, add, stream); });
      }
  });
}

TEST_CASE("MSE agrees with the reference", "[loss][emulator]") {
  on_backends([](Stream stream) {
    for (const LossShape& s : shapes_for(stream))
      for (const float weight : {1.0f, 10.0f}) {
        Buffer y(DType::f32, uniform(3, elements(s), 0, 1)), t(DType::f32, uniform(4, elements(s), 0, 1));
        const reference::Loss want = reference::mse(y.values(), t.values());
        check_loss(
            want, weight, 6 * kRound * want.value, error_of(want.dy, 6 * kRound), stream,
            [&](Buffer& loss, Buffer& dy, bool add) { pointwise(mse_loss, loss, dy, y, t, s, weight, add, stream); });
      }
  });
}

TEST_CASE("L1 of many ranges heeds the focus and has the same bits in all orders", "[loss][emulator]") {
  const LossShape s{3, 35, 33, 3, 0.5f};
  Buffer y(DType::f32, uniform(5, elements(s), 0, 1)), t(DType::f32, uniform(6, elements(s), 0, 1));
  double want = 0;
  Doubles want_dy;
  for (int64_t i = 0; i < y.count(); ++i) {
    const int64_t pixel = i / s.c, row = pixel / s.w % s.h;
    const double w = double(focus_weight(s.focus, float(pixel % s.w), float(row), s.h, s.w)), d = y[i] - t[i];
    want += w * std::abs(d) / double(y.count());
    want_dy.push_back(w * double((d > 0) - (d < 0)) / double(y.count()));
  }
  Buffer first(DType::f32, 1), first_dy(DType::f32, y.count());
  pointwise(l1_loss, first, first_dy, y, t, s, 1, false, {Device::emulator});
  CHECK(mismatch(first, {want}, {8 * kRound * want}) == "");
  CHECK(mismatch(first_dy, want_dy, error_of(want_dy, 8 * kRound)) == "");
  on_emulator([&](Stream stream) {
    Buffer loss(DType::f32, 1), dy(DType::f32, y.count());
    pointwise(l1_loss, loss, dy, y, t, s, 1, false, stream);
    CHECK(loss.same_bits(first));
    CHECK(dy.same_bits(first_dy));
  });
}

TEST_CASE("total_loss weighs the losses and clears those that were left out", "[loss][emulator]") {
  on_backends([](Stream stream) {
    Buffer all(DType::f32, Doubles{0, 0.5, 0.25, 0.125}), some(DType::f32, 4);
    total_loss(all.f32(), 1, 2, 4, stream);
    CHECK(all.values() == Doubles{1.5, 0.5, 0.25, 0.125});
    some.set(1, 0.5);
    total_loss(some.f32(), 2, 0, 0, stream);
    CHECK(some.values() == Doubles{1, 0.5, 0, 0});
  });
}

TEST_CASE("the focus weight is 1 in the middle, less in the corners, and the losses' weight", "[loss][emulator]") {
  CHECK(focus_weight(0.9f, 31.5f, 31.5f, 64, 64) == 1);
  CHECK(focus_weight(0.9f, 0, 0, 64, 64) == Approx(0.1).epsilon(1e-5));
  CHECK(focus_weight(0, 0, 0, 64, 64) == 1);

  const LossShape s{2, 13, 17, 3, 0.8f};
  const int64_t count = elements(s);
  Buffer y(DType::f32, picture(s, 21, 0.2)), t(DType::f32, picture(s, 22, 0.2));
  double l1 = 0, mse = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t pixel = i / s.c, row = pixel / s.w % s.h;
    const double w = double(focus_weight(s.focus, float(pixel % s.w), float(row), s.h, s.w)), d = y[i] - t[i];
    l1 += w * std::abs(d) / double(count);
    mse += w * d * d / double(count);
  }
  on_backends([&](Stream stream) {
    Buffer loss(DType::f32, 1), dy(DType::f32, count);
    pointwise(l1_loss, loss, dy, y, t, s, 1, false, stream);
    CHECK(loss[0] == Approx(l1).epsilon(1e-6));
    pointwise(mse_loss, loss, dy, y, t, s, 1, false, stream);
    CHECK(loss[0] == Approx(mse).epsilon(1e-6));
  });
}
