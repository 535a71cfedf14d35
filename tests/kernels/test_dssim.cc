// DSSIM and its gradient against the double-precision reference.
#include "kernels/loss_checks.h"

using namespace doppel;
using namespace doppel::testing;

static void check_dssim(const LossShape& s, const Dssim& o, const Doubles& prediction, const Doubles& truth,
                        float weight, Stream stream) {
  INFO("[" << s.n << "," << s.h << "," << s.w << "," << s.c << "] window " << o.window);
  Buffer y(DType::f32, prediction), t(DType::f32, truth);
  double condition = 0;
  const reference::Loss want = reference::dssim(s, o, y.values(), t.values(), &condition);
  const double relative = dssim_error(o, condition);
  REQUIRE(relative < 0.01);
  check_loss(want, weight, relative, error_of_largest(want.dy, relative), stream,
             [&](Buffer& loss, Buffer& dy, bool add) { dssim(loss, dy, y, t, s, o, weight, add, stream); });
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
      worst = std::max(worst, dssim_error(d, condition));
      want.value += one.value / 3;
      for (size_t i = 0; i < want.dy.size(); ++i) want.dy[i] += one.dy[i] / 3;
    }
    check_loss(want, 0.5f, worst, error_of_largest(want.dy, worst), stream,
               [&](Buffer& loss, Buffer& dy, bool add) { dssim(loss, dy, y, t, s, scales, 0.5f, add, stream); });
  });
  scales.scale[1].window = 25;
  CHECK_THROWS_AS(dssim_workspace(s, scales, {}), std::invalid_argument);
}

TEST_CASE("DSSIM on the emulator heeds the focus like the CPU", "[loss][emulator]") {
  const LossShape s{1, 21, 35, 2, 0.8f};
  Dssim o;
  o.window = 5;
  Buffer y(DType::f32, picture(s, 5, 0.1)), t(DType::f32, picture(s, 6, 0.1));
  const auto run = [&](Buffer& loss, Buffer& dy, Stream stream) { dssim(loss, dy, y, t, s, o, 1, false, stream); };
  Buffer want(DType::f32, 1), want_dy(DType::f32, y.count());
  run(want, want_dy, {});
  on_emulator([&](Stream stream) {
    Buffer loss(DType::f32, 1), dy(DType::f32, y.count());
    run(loss, dy, stream);
    CHECK(mismatch(loss, want.values(), {1e-5 * want[0]}) == "");
    CHECK(mismatch(dy, want_dy.values(), error_of_largest(want_dy.values(), 1e-4)) == "");
  });
}

TEST_CASE("DSSIM of equal pictures is 0 and has no gradient", "[loss]") {
  const LossShape s{2, 16, 16, 3};
  Buffer y(DType::f32, picture(s, 5, 0.1));
  Buffer loss(DType::f32, 1), dy(DType::f32, y.count());
  dssim(loss, dy, y, y, s, {}, 1, false, {});
  CHECK(std::abs(loss[0]) < 1e-6);
  for (double v : dy.values()) CHECK(std::abs(v) < 1e-7);
}
