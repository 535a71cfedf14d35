// The backward rules of convolution, alone and in groups, and of dense layers against finite differences of their
// forward launchers, on every backend.
#include "kernels/conv_runner.h"
#include "kernels/dense.h"
#include "kernels/derivative.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

void check_backward(const Conv2d& conv, const Epilogue& epilogue, uint64_t seed, Stream stream) {
  INFO(describe(conv, epilogue));
  ConvRun run(conv, epilogue, seed, stream);
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
  // The emulator takes its time.
  const uint64_t directions = stream.device == Device::emulator ? 1 : 3;
  for (uint64_t i = 0; i < directions; ++i) {
    check_derivative(run.x, run.y, g, run.dx, seed + 10 + i, [&] { run.fprop(); });
    check_derivative(run.w, run.y, g, run.dw, seed + 20 + i, [&] { run.fprop(); });
    check_derivative(run.b, run.y, g, run.db, seed + 30 + i, [&] { run.fprop(); });
  }
}

}  // namespace

TEST_CASE("conv2d: backward agrees with finite differences", "[conv2d][emulator]") {
  const Epilogue plain{}, leaky{Activation::leaky_relu, 0.1f, false}, up{Activation::leaky_relu, 0.1f, true},
      sigmoid{Activation::sigmoid, 0, false};
  on_backends(emulator::Order::reverse, [&](Stream stream) {
    check_backward(make_conv(2, 7, 9, 3, 8, 5, 5, 2, Padding::same), plain, 100, stream);
    check_backward(make_conv(2, 8, 8, 3, 8, 5, 5, 2, Padding::same), leaky, 200, stream);
    check_backward(make_conv(2, 5, 6, 8, 16, 3, 3, 1, Padding::symmetric), up, 300, stream);
    check_backward(make_conv(1, 9, 7, 4, 3, 5, 5, 1, Padding::symmetric), sigmoid, 400, stream);
    check_backward(make_conv(3, 5, 5, 17, 12, 1, 1, 1, Padding::none), {Activation::sigmoid, 0, true}, 500, stream);
    check_backward(make_conv(1, 11, 10, 5, 7, 7, 3, 2, Padding::none), leaky, 600, stream);
  });
}

// One launch for all groups. The sigmoid has no corner that a step could cross.
TEST_CASE("conv2d groups: backward agrees with finite differences", "[conv2d][groups][emulator]") {
  constexpr int kGroups = 3;
  on_backends(emulator::Order::shuffled, [&](Stream stream) {
    for (Conv2d conv :
         {make_conv(2, 5, 4, 8, 12, 3, 3, 1, Padding::same), make_conv(1, 7, 6, 3, 8, 5, 5, 2, Padding::same)})
      for (const Epilogue& epilogue : {Epilogue{Activation::sigmoid, 0, false}, Epilogue{Activation::none, 0, true}}) {
        INFO(describe(conv, epilogue));
        conv.groups = kGroups, conv.weight_stride = conv.weights(), conv.bias_stride = conv.k;
        const int64_t outputs = kGroups * conv.out_elements();
        Buffer x(DType::f32, uniform(1, kGroups * conv.in_elements())),
            w(DType::f32, scaled(uniform(2, kGroups * conv.weights()), 0.3)),
            b(DType::f32, uniform(3, kGroups * conv.k));
        Buffer y(DType::f32, outputs), dy(DType::f32, uniform(4, outputs)), dz(DType::f32, outputs);
        Buffer dx(DType::f32, x.count()), dw(DType::f32, w.count()), db(DType::f32, b.count());
        const ConvWorkspace sizes = conv2d_workspace(conv, epilogue, stream);
        Buffer workspace(DType::u8,
                         int64_t(std::max({sizes.fprop, sizes.backward_epilogue, sizes.dgrad, sizes.wgrad})));
        void* const p = workspace.data();
        const auto forward = [&] { conv2d_fprop(y.data(), x.data(), w.data(), b.f32(), conv, epilogue, p, stream); };
        forward();
        const void* const saved = epilogue.activation == Activation::none ? nullptr : y.data();
        conv2d_backward_epilogue(dz.data(), db.f32(), dy.data(), saved, conv, epilogue, p, stream);
        conv2d_dgrad(dx.data(), dz.data(), w.data(), conv, p, stream);
        conv2d_wgrad(dw.f32(), x.data(), dz.data(), conv, p, stream);
        check_derivative(x, y, dy.values(), dx, 10, forward);
        check_derivative(w, y, dy.values(), dw, 11, forward);
        check_derivative(b, y, dy.values(), db, 12, forward);
      }
  });
}

TEST_CASE("dense: backward agrees with finite differences", "[dense][emulator]") {
  on_backends(emulator::Order::reverse, [](Stream stream) {
    const Dense dense{3, 17, 12, DType::f32};
    Buffer x(DType::f32, uniform(1, 3 * 17)), w(DType::f32, scaled(uniform(2, 12 * 17), 0.5)),
        b(DType::f32, uniform(3, 12));
    Buffer y(DType::f32, 3 * 12), dy(DType::f32, uniform(4, 3 * 12));
    Buffer dx(DType::f32, x.count()), dw(DType::f32, w.count()), db(DType::f32, 12);
    const DenseWorkspace sizes = dense_workspace(dense, stream);
    Buffer workspace(DType::u8, int64_t(std::max({sizes.fprop, sizes.dgrad, sizes.wgrad})));
    void* const p = workspace.data();
    const auto forward = [&] { dense_fprop(y.data(), x.data(), w.data(), b.f32(), dense, p, stream); };
    dense_dgrad(dx.data(), dy.data(), w.data(), dense, p, stream);
    dense_wgrad(dw.f32(), db.f32(), x.data(), dy.data(), dense, p, stream);
    check_derivative(x, y, dy.values(), dx, 10, forward);
    check_derivative(w, y, dy.values(), dw, 11, forward);
    check_derivative(b, y, dy.values(), db, 12, forward);
  });
}
