// What holds for all losses: orders of threads, masks, gradients by finite differences, pictures that are not finite.
#include "kernels/derivative.h"
#include "kernels/loss_checks.h"

using namespace doppel;
using namespace doppel::testing;

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
  compare([&](Buffer& loss, Buffer& dy, Stream stream) { dssim(loss, dy, y, t, s, scales, 1, false, stream); });
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
    const double relative = dssim_error(o, condition);
    check_loss(want, 2, relative, error_of_largest(want.dy, relative), stream,
               [&](Buffer& loss, Buffer& dy, bool add) { dssim(loss, dy, y, t, s, o, 2, add, stream, mask.f32()); });
  });
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
          check(d.count == 1 ? "DSSIM" : "multi-scale DSSIM",
                [&](Buffer& loss, Buffer& dy) { dssim(loss, dy, y, t, s, d, 1, false, stream, f); });
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
    dssim(loss, dy, y, t, s, {}, 1, false, stream);
    CHECK(!std::isfinite(loss[0]));
  });
}
