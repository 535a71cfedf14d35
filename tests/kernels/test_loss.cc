// Losses and their gradients against the double-precision reference and by finite differences.
#include "kernels/loss.h"

#include "kernels/derivative.h"
#include "kernels/reference.h"

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

int64_t elements(const LossShape& s) {
  return int64_t(s.n) * s.h * s.w * s.c;
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

Doubles error_of(const Doubles& gradient, double relative) {
  return scaled(absolute(gradient), relative);
}

}  // namespace

// The pointwise losses with a guarded workspace.
using Pointwise = decltype(l1_loss);
static void pointwise(Pointwise* launch, Buffer& loss, Buffer& dy, Buffer& y, Buffer& t, const LossShape& s,
                      float weight, bool add, Stream stream, const float* mask = nullptr) {
  Buffer workspace(DType::u8, int64_t(pointwise_loss_workspace(s, stream)));
  launch(loss.f32(), dy.f32(), y.f32(), t.f32(), mask, s, weight, add, workspace.data(), stream);
  CHECK(workspace.guards_intact());
}

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

TEST_CASE("MSE and DSSIM have the same bits in all orders", "[loss][emulator]") {
  const LossShape s{3, 35, 33, 3, 0.5f};
  DssimScales scales;
  scales.count = 2;
  scales.scale[0].window = 5, scales.scale[1].window = 23, scales.scale[1].sigma = 4;
  Buffer y(DType::f32, uniform(5, elements(s), 0, 1)), t(DType::f32, uniform(6, elements(s), 0, 1));
  const auto compare = [&](auto&& launch) {
    const auto check_against = [&](const Buffer& first, const Buffer& first_dy, Stream stream) {
      Buffer loss(DType::f32, 1), dy(DType::f32, y.count());
      launch(loss, dy, stream);
      CHECK(std::isfinite(loss[0]));
      CHECK(loss.same_bits(first));
      CHECK(dy.same_bits(first_dy));
    };
    Buffer first(DType::f32, 1), first_dy(DType::f32, y.count());
    launch(first, first_dy, {Device::emulator});
    on_emulator([&](Stream stream) { check_against(first, first_dy, stream); });
    on_card([&](Stream stream) {
      Buffer there(DType::f32, 1), there_dy(DType::f32, y.count());
      launch(there, there_dy, stream);
      check_against(there, there_dy, stream);
    });
  };
  compare([&](Buffer& loss, Buffer& dy, Stream stream) { pointwise(mse_loss, loss, dy, y, t, s, 1, false, stream); });
  compare([&](Buffer& loss, Buffer& dy, Stream stream) {
    Buffer workspace(DType::u8, int64_t(dssim_workspace(s, scales, stream)));
    dssim_loss(loss.f32(), dy.f32(), y.f32(), t.f32(), nullptr, s, scales, 1, false, workspace.data(), stream);
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

// fp32 moments are off by about 2^-24 times a random walk over the taps; the variances, differences of moments that
// nearly cancel, are off by `condition` times that relative to what is left of them.
static void check_dssim(const LossShape& s, const Dssim& o, const Doubles& prediction, const Doubles& truth,
                        float weight, Stream stream) {
  INFO("[" << s.n << "," << s.h << "," << s.w << "," << s.c << "] window " << o.window);
  Buffer y(DType::f32, prediction), t(DType::f32, truth);
  double condition = 0;
  const reference::Loss want = reference::dssim(s, o, y.values(), t.values(), &condition);
  const double relative = 4 * std::sqrt(2.0 * o.window) * kRound * condition;
  REQUIRE(relative < 0.01);
  // Of a gradient, the terms that cancel are as large as the largest element.
  const Doubles size = absolute(want.dy);
  const double largest = *std::max_element(size.begin(), size.end());
  check_loss(want, weight, relative, Doubles(size.size(), relative * largest), stream,
             [&](Buffer& loss, Buffer& dy, bool add) {
               Buffer workspace(DType::u8, int64_t(dssim_workspace(s, o, stream)));
               dssim_loss(loss.f32(), dy.f32(), y.f32(), t.f32(), nullptr, s, o, weight, add, workspace.data(), stream);
               CHECK(workspace.guards_intact());
             });
}

// A smooth picture with some noise, [n,h,w,c].
static Doubles picture(const LossShape& s, uint64_t seed, double noise) {
  Doubles v = uniform(seed, elements(s), -float(noise), float(noise));
  for (size_t i = 0; i < v.size(); ++i)
    v[i] += 0.5 + 0.3 * std::sin(0.3 * double(i / size_t(s.c) % size_t(s.w)) + 0.1 * double(i / size_t(s.c * s.w)));
  return v;
}

TEST_CASE("DSSIM agrees with the reference", "[loss]") {
  for (const int window : {3, 5, 7, 11, 15, 17, 19, 21, 23}) {
    Dssim o;
    o.window = window;
    const int wide = std::max(window, 17);
    const LossShape shapes[] = {
        {1, window, window, 1}, {2, window, window + 3, 3}, {3, wide, wide + 2, 3}, {1, 32, 32, 1}};
    for (const LossShape& s : shapes) {
      check_dssim(s, o, picture(s, 5, 0.1), picture(s, 6, 0.1), 1.0f, {});
      check_dssim(s, o, uniform(7, elements(s), 0, 1), uniform(8, elements(s), 0, 1), 0.7f, {});
    }
  }
  Dssim other;
  other.window = 9, other.sigma = 2.5f, other.k1 = 0.02f, other.k2 = 0.05f;
  const LossShape s{18, 12, 13, 3};  // more pictures than one range of them
  check_dssim(s, other, picture(s, 9, 0.2), picture(s, 10, 0.1), 10.0f, {});
}

TEST_CASE("DSSIM on the emulator agrees with the reference", "[loss][emulator]") {
  struct Case {
    int window;
    LossShape shape;
  };
  // Minimal pictures, every window, tiles that are not full and several of them on both axes.
  const Case cases[] = {{3, {1, 3, 3, 1}},    {5, {1, 5, 8, 3}},    {7, {2, 9, 7, 2}},    {9, {1, 9, 12, 1}},
                        {11, {1, 31, 37, 1}}, {13, {1, 13, 14, 2}}, {15, {1, 15, 16, 1}}, {17, {1, 17, 20, 1}},
                        {19, {1, 20, 19, 1}}, {21, {1, 21, 22, 1}}, {23, {1, 24, 23, 1}}, {3, {1, 20, 37, 2}}};
  on_emulator([&](Stream stream) {
    for (const auto& [window, s] : cases) {
      Dssim o;
      o.window = window;
      check_dssim(s, o, picture(s, 5, 0.1), uniform(8, elements(s), 0, 1), 0.7f, stream);
    }
  });
  if (card_present() && !emulator::checked()) {
    const LossShape s{2, 64, 64, 3};
    check_dssim(s, {}, picture(s, 5, 0.1), uniform(8, elements(s), 0, 1), 0.7f, {Device::cuda});
  }
}

TEST_CASE("losses heed a mask", "[loss][emulator]") {
  const LossShape s{2, 14, 17, 3};
  Dssim o;
  o.window = 7;
  Doubles weights = uniform(31, int64_t(s.n) * s.h * s.w, 0, 1);
  for (size_t i = 0; i < weights.size(); i += 3) weights[i] = 0;
  on_backends([&](Stream stream) {
    Buffer y(DType::f32, picture(s, 32, 0.1)), t(DType::f32, picture(s, 33, 0.1)), mask(DType::f32, weights);
    reference::Loss want = reference::l1(y.values(), t.values(), mask.values());
    check_loss(
        want, 2, 6 * kRound * want.value, error_of(want.dy, 6 * kRound), stream,
        [&](Buffer& loss, Buffer& dy, bool add) { pointwise(l1_loss, loss, dy, y, t, s, 2, add, stream, mask.f32()); });
    want = reference::mse(y.values(), t.values(), mask.values());
    check_loss(want, 2, 8 * kRound * want.value, error_of(want.dy, 8 * kRound), stream,
               [&](Buffer& loss, Buffer& dy, bool add) {
                 pointwise(mse_loss, loss, dy, y, t, s, 2, add, stream, mask.f32());
               });
    double condition = 0;
    want = reference::dssim(s, o, y.values(), t.values(), &condition, mask.values());
    const double relative = 4 * std::sqrt(2.0 * o.window) * kRound * condition;
    const Doubles size = absolute(want.dy);
    const double largest = *std::max_element(size.begin(), size.end());
    check_loss(want, 2, relative, Doubles(size.size(), relative * largest), stream,
               [&](Buffer& loss, Buffer& dy, bool add) {
                 Buffer workspace(DType::u8, int64_t(dssim_workspace(s, o, stream)));
                 dssim_loss(loss.f32(), dy.f32(), y.f32(), t.f32(), mask.f32(), s, o, 2, add, workspace.data(), stream);
               });
  });
}

TEST_CASE("multi-scale DSSIM is the mean of its scales", "[loss][emulator]") {
  const LossShape s{1, 25, 24, 2};
  DssimScales scales;
  scales.count = 3;
  scales.scale[0].window = 5;
  scales.scale[1].window = 23, scales.scale[1].sigma = 4;
  scales.scale[2].window = 11;
  on_backends([&](Stream stream) {
    Buffer y(DType::f32, picture(s, 34, 0.1)), t(DType::f32, picture(s, 35, 0.1));
    reference::Loss want{0, Doubles(size_t(y.count()))};
    double worst = 0;
    for (const Dssim& d : scales.scale) {
      double condition = 0;
      const reference::Loss one = reference::dssim(s, d, y.values(), t.values(), &condition);
      worst = std::max(worst, 4 * std::sqrt(2.0 * d.window) * kRound * condition);
      want.value += one.value / 3;
      for (size_t i = 0; i < want.dy.size(); ++i) want.dy[i] += one.dy[i] / 3;
    }
    const Doubles size = absolute(want.dy);
    const double largest = *std::max_element(size.begin(), size.end());
    check_loss(
        want, 0.5f, worst, Doubles(size.size(), worst * largest), stream, [&](Buffer& loss, Buffer& dy, bool add) {
          Buffer workspace(DType::u8, int64_t(dssim_workspace(s, scales, stream)));
          dssim_loss(loss.f32(), dy.f32(), y.f32(), t.f32(), nullptr, s, scales, 0.5f, add, workspace.data(), stream);
          CHECK(workspace.guards_intact());
        });
  });
  scales.scale[1].window = 25;
  CHECK_THROWS_AS(dssim_workspace(s, scales, {}), std::invalid_argument);
}

TEST_CASE("DSSIM on the emulator heeds the focus like the CPU", "[loss][emulator]") {
  const LossShape s{1, 21, 35, 2, 0.8f};
  Dssim o;
  o.window = 5;
  Buffer y(DType::f32, picture(s, 5, 0.1)), t(DType::f32, picture(s, 6, 0.1));
  const auto run = [&](Buffer& loss, Buffer& dy, Stream stream) {
    Buffer workspace(DType::u8, int64_t(dssim_workspace(s, o, stream)));
    dssim_loss(loss.f32(), dy.f32(), y.f32(), t.f32(), nullptr, s, o, 1, false, workspace.data(), stream);
  };
  Buffer want(DType::f32, 1), want_dy(DType::f32, y.count());
  run(want, want_dy, {});
  const Doubles size = absolute(want_dy.values());
  const double largest = *std::max_element(size.begin(), size.end());
  on_emulator([&](Stream stream) {
    Buffer loss(DType::f32, 1), dy(DType::f32, y.count());
    run(loss, dy, stream);
    CHECK(mismatch(loss, want.values(), {1e-5 * want[0]}) == "");
    CHECK(mismatch(dy, want_dy.values(), Doubles(size.size(), 1e-4 * largest)) == "");
  });
}

TEST_CASE("DSSIM of equal pictures is 0 and has no gradient", "[loss]") {
  const LossShape s{2, 16, 16, 3};
  Buffer y(DType::f32, picture(s, 5, 0.1));
  Buffer loss(DType::f32, 1), dy(DType::f32, y.count());
  Buffer workspace(DType::u8, int64_t(dssim_workspace(s, {}, {})));
  dssim_loss(loss.f32(), dy.f32(), y.f32(), y.f32(), nullptr, s, {}, 1, false, workspace.data(), {});
  CHECK(std::abs(loss[0]) < 1e-6);
  for (double v : dy.values()) CHECK(std::abs(v) < 1e-7);
}

// Loss gradients by finite differences of the launchers' values: with a step of 2^-9 the loss changes by about
// norm(gradient) 2^-9, its fp32 rounding is 2^-24 of it, and the curvature is a few times the gradient's norm.
TEST_CASE("loss gradients agree with finite differences", "[loss][emulator]") {
  const LossShape plain{2, 13, 12, 3}, focused{2, 13, 12, 3, 0.8f};
  const Doubles prediction = picture(plain, 11, 0.05);
  Doubles truth = picture(plain, 12, 0.05), weights = uniform(13, int64_t(plain.n) * plain.h * plain.w, 0, 1);
  for (size_t i = 0; i < truth.size(); ++i)  // away from the corner of |y - t|
    if (std::abs(prediction[i] - truth[i]) < 0.01) truth[i] += 0.05;
  for (size_t i = 0; i < weights.size(); i += 3) weights[i] = 0;
  Dssim o;
  o.window = 7;
  DssimScales scales(o);
  scales.count = 3;
  scales.scale[1].window = 3;
  scales.scale[2].window = 11, scales.scale[2].sigma = 3;
  on_backends(emulator::Order::reverse, [&](Stream stream) {
    Buffer y(DType::f32, prediction), t(DType::f32, truth), mask(DType::f32, weights);
    const auto check = [&](const std::string& name, auto&& launch) {
      INFO(name);
      Buffer loss(DType::f32, 1), dy(DType::f32, y.count()), unused(DType::f32, y.count());
      launch(loss, dy);
      for (const uint64_t seed : {20, 21, 22})
        check_slope(
            y, dy, seed,
            [&] {
              launch(loss, unused);
              return loss[0];
            },
            0.01);
    };
    for (const LossShape& s : {plain, focused})
      for (const float* f : {static_cast<const float*>(nullptr), static_cast<const float*>(mask.f32())}) {
        INFO("focus " << s.focus << (f ? ", masked" : ""));
        check("L1", [&](Buffer& loss, Buffer& dy) { pointwise(l1_loss, loss, dy, y, t, s, 1, false, stream, f); });
        check("MSE", [&](Buffer& loss, Buffer& dy) { pointwise(mse_loss, loss, dy, y, t, s, 1, false, stream, f); });
        for (const DssimScales& d : {DssimScales(o), scales})
          check(d.count == 1 ? "DSSIM" : "multi-scale DSSIM", [&](Buffer& loss, Buffer& dy) {
            Buffer workspace(DType::u8, int64_t(dssim_workspace(s, d, stream)));
            dssim_loss(loss.f32(), dy.f32(), y.f32(), t.f32(), f, s, d, 1, false, workspace.data(), stream);
          });
      }
  });
}

TEST_CASE("losses of pictures that are not finite are not finite", "[loss][emulator]") {
  const LossShape s{2, 12, 12, 3};
  on_backends([&](Stream stream) {
    Buffer y(DType::f32, picture(s, 5, 0.1)), t(DType::f32, picture(s, 6, 0.1));
    y.set(200, double(NAN));
    Buffer loss(DType::f32, 1), dy(DType::f32, y.count());
    pointwise(l1_loss, loss, dy, y, t, s, 1, false, stream);
    CHECK(!std::isfinite(loss[0]));
    pointwise(mse_loss, loss, dy, y, t, s, 1, false, stream);
    CHECK(!std::isfinite(loss[0]));
    Buffer workspace(DType::u8, int64_t(dssim_workspace(s, {}, stream)));
    dssim_loss(loss.f32(), dy.f32(), y.f32(), t.f32(), nullptr, s, {}, 1, false, workspace.data(), stream);
    CHECK(!std::isfinite(loss[0]));
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
