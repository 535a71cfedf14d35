// x cos x and its derivative.
#include "kernels/activation.h"
#include "kernels/derivative.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

void x_cos_x_forward(void* y, const void* x, int64_t count, DType type, Stream stream) {
  activation_forward(y, x, count, type, Activation::x_cos_x, 0, stream);
}
void x_cos_x_backward(void* dx, const void* dy, const void* x, int64_t count, DType type, Stream stream) {
  activation_backward(dx, dy, x, count, type, Activation::x_cos_x, 0, stream);
}

}  // namespace

TEST_CASE("x cos x agrees with the formula, forward and backward", "[activation][emulator]") {
  on_backends([](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16})
      for (const int64_t count : {1, 2, 7, 16, 33, 1001}) {
        INFO("count " << count << " " << name_of(type));
        Doubles values = uniform(1, count, -9, 9);
        for (size_t i = 0; i < values.size(); i += 5) values[i] = i % 2 ? 0 : values[i] * 30;
        const Buffer x(type, values), dy(type, uniform(2, count));
        Buffer y(type, count), dx(type, count);
        x_cos_x_forward(y.data(), x.data(), count, type, stream);
        x_cos_x_backward(dx.data(), dy.data(), x.data(), count, type, stream);
        Doubles want, want_dx, allowed, allowed_dx;
        for (int64_t i = 0; i < count; ++i) {
          const double v = x[i], size = 1 + std::abs(v);
          want.push_back(v * std::cos(v));
          want_dx.push_back(dy[i] * (std::cos(v) - v * std::sin(v)));
          // sin and cos are off by some units of 1, and the terms of the derivative may cancel.
          allowed.push_back(4 * kRound * size + 1.01 * unit_roundoff(type) * std::abs(want.back()));
          allowed_dx.push_back(8 * kRound * size + 1.01 * unit_roundoff(type) * std::abs(want_dx.back()));
        }
        CHECK(mismatch(y, want, allowed) == "");
        CHECK(mismatch(dx, want_dx, allowed_dx) == "");

        Buffer place(type, x.values()), as_dy(type, dy.values()), as_x(type, x.values());
        x_cos_x_forward(place.data(), place.data(), count, type, stream);
        x_cos_x_backward(as_dy.data(), as_dy.data(), x.data(), count, type, stream);
        x_cos_x_backward(as_x.data(), dy.data(), as_x.data(), count, type, stream);
        CHECK(place.same_bits(y));
        CHECK(as_dy.same_bits(dx));
        CHECK(as_x.same_bits(dx));
      }
  });
}

TEST_CASE("x cos x at pointers that are not aligned", "[activation][emulator]") {
  on_backends([](Stream stream) {
    Buffer x(DType::f32, uniform(1, 40)), y(DType::f32, 40);
    x_cos_x_forward(y.f32() + 1, x.f32() + 3, 37, DType::f32, stream);
    CHECK(std::isnan(y[0]));
    CHECK(std::isnan(y[38]));
    for (int64_t i = 0; i < 37; ++i) CHECK(y[1 + i] == Approx(x[3 + i] * std::cos(x[3 + i])).margin(1e-6));
  });
}

TEST_CASE("x cos x's gradient agrees with finite differences", "[activation][emulator]") {
  on_backends(emulator::Order::reverse, [](Stream stream) {
    const int64_t count = 203;
    Buffer x(DType::f32, uniform(1, count, -7, 7)), dy(DType::f32, uniform(2, count));
    Buffer y(DType::f32, count), dx(DType::f32, count);
    x_cos_x_backward(dx.data(), dy.data(), x.data(), count, DType::f32, stream);
    check_derivative(x, y, dy.values(), dx, 3, [&] { x_cos_x_forward(y.data(), x.data(), count, DType::f32, stream); });
  });
}
