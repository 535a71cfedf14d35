// The backward rules of convolution and dense layers against finite differences of their forward launchers.
//
// The scalar is g . y for fixed random g; its derivative along a direction d of an input is (gradient . d). Along
// random signs that is about as large as the gradient's norm, so errors are measured against the norm. With steps of
// 2^-9 the fp32 roundings of y cost about 2^-24 sqrt(terms) / 2^-9 of it, and the third derivative of the sigmoid less
// than 2^-18 times a small constant: a thousandth covers both, while a wrong rule is off by about the norm itself.
#include "kernels/conv_runner.h"
#include "kernels/dense.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr double kStep = 0x1p-9;
constexpr double kTolerance = 1e-3;

// The derivative of g . y(buffer) along random signs, by calling `forward` on a moved `buffer`.
template <typename Forward>
void check_derivative(Buffer& buffer, const Buffer& y, const Doubles& g, const Buffer& gradient, uint64_t seed,
                      Forward&& forward) {
  const Doubles start = buffer.values(), direction = signs(seed, buffer.count());
  const double measured = central_difference(
      [&](const Doubles& at) {
        for (int64_t i = 0; i < buffer.count(); ++i) buffer.set(i, at[size_t(i)]);
        forward();
        return dot(g, y.values());
      },
      start, direction, kStep);
  for (int64_t i = 0; i < buffer.count(); ++i) buffer.set(i, start[size_t(i)]);
  const double size = norm(gradient.values());
  CHECK(size > 0);
  CHECK(std::abs(measured - dot(gradient.values(), direction)) <= kTolerance * size);
}

void check_backward(const Conv2d& conv, const Epilogue& epilogue, uint64_t seed) {
  INFO(describe(conv, epilogue));
  ConvRun run(conv, epilogue, seed);
  run.fprop();
  // The leaky ReLU has no derivative at 0: outputs that a step of x, w or b can carry across do not count.
  const Epilogue order{Activation::none, 0, epilogue.shuffle};
  const Doubles ones_x(size_t(run.x.count()), 1.0), ones_w(size_t(run.w.count()), 1.0);
  const Doubles by_x =
      reference::conv2d_y(conv, order, reference::conv2d_z(conv, ones_x, absolute(run.w.values()), {}));
  const Doubles by_w =
      reference::conv2d_y(conv, order, reference::conv2d_z(conv, absolute(run.x.values()), ones_w, {}));
  const double slope = epilogue.activation == Activation::leaky_relu ? double(epilogue.slope) : 0;
  Doubles g = run.dy.values();
  int counted = 0;
  for (int64_t i = 0; i < run.y.count(); ++i) {
    const double z = run.y[i] < 0 && slope > 0 ? run.y[i] / slope : run.y[i];
    if (slope > 0 && std::abs(z) <= 1.01 * kStep * std::max({by_x[size_t(i)], by_w[size_t(i)], 1.0})) g[size_t(i)] = 0;
    run.dy.set(i, g[size_t(i)]);
    counted += g[size_t(i)] != 0;
  }
  CHECK(2 * counted > run.y.count());
  run.backward_epilogue();
  run.dgrad();
  run.wgrad();
  for (uint64_t i = 0; i < 3; ++i) {
    check_derivative(run.x, run.y, g, run.dx, seed + 10 + i, [&] { run.fprop(); });
    check_derivative(run.w, run.y, g, run.dw, seed + 20 + i, [&] { run.fprop(); });
    check_derivative(run.b, run.y, g, run.db, seed + 30 + i, [&] { run.fprop(); });
  }
}

}  // namespace

TEST_CASE("conv2d: backward agrees with finite differences", "[conv2d]") {
  const Epilogue plain{}, leaky{Activation::leaky_relu, 0.1f, false}, up{Activation::leaky_relu, 0.1f, true},
      sigmoid{Activation::sigmoid, 0, false};
  check_backward(make_conv(2, 7, 9, 3, 8, 5, 5, 2, Padding::same), plain, 100);
  check_backward(make_conv(2, 8, 8, 3, 8, 5, 5, 2, Padding::same), leaky, 200);
  check_backward(make_conv(2, 5, 6, 8, 16, 3, 3, 1, Padding::symmetric), up, 300);
  check_backward(make_conv(1, 9, 7, 4, 3, 5, 5, 1, Padding::symmetric), sigmoid, 400);
  check_backward(make_conv(3, 5, 5, 17, 12, 1, 1, 1, Padding::none), {Activation::sigmoid, 0, true}, 500);
  check_backward(make_conv(1, 11, 10, 5, 7, 7, 3, 2, Padding::none), leaky, 600);
}

TEST_CASE("dense: backward agrees with finite differences", "[dense]") {
  const Dense dense{3, 17, 12, DType::f32};
  Buffer x(DType::f32, uniform(1, 3 * 17)), w(DType::f32, scaled(uniform(2, 12 * 17), 0.5)),
      b(DType::f32, uniform(3, 12));
  Buffer y(DType::f32, 3 * 12), dy(DType::f32, uniform(4, 3 * 12));
  Buffer dx(DType::f32, x.count()), dw(DType::f32, w.count()), db(DType::f32, 12);
  const DenseWorkspace sizes = dense_workspace(dense, {});
  Buffer workspace(DType::u8, int64_t(std::max({sizes.fprop, sizes.dgrad, sizes.wgrad})));
  const auto forward = [&] { dense_fprop(y.data(), x.data(), w.data(), b.f32(), dense, workspace.data(), {}); };
  dense_dgrad(dx.data(), dy.data(), w.data(), dense, workspace.data(), {});
  dense_wgrad(dw.f32(), db.f32(), x.data(), dy.data(), dense, workspace.data(), {});
  check_derivative(x, y, dy.values(), dx, 10, forward);
  check_derivative(w, y, dy.values(), dw, 11, forward);
  check_derivative(b, y, dy.values(), db, 12, forward);
}
