// Activations and sums that no convolution carries along.
#include "kernels/activation.h"

#include "kernels/derivative.h"
#include "kernels/reference.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

struct Case {
  Activation f;
  float slope;
};
constexpr Case kCases[] = {
    {Activation::none, 0}, {Activation::leaky_relu, 0.1f}, {Activation::leaky_relu, 0.2f}, {Activation::sigmoid, 0}};
constexpr int64_t kCounts[] = {1, 2, 3, 7, 15, 16, 17, 31, 33, 1000, 40001};

// Values of both signs, zeros, and some far out where the sigmoid saturates.
Doubles inputs(uint64_t seed, int64_t count) {
  Doubles v = uniform(seed, count, -4, 4);
  for (size_t i = 0; i < v.size(); i += 7) v[i] = i % 2 ? 0 : v[i] * 20;
  return v;
}

// Evaluating a formula of a few operations in fp32, then rounding to `type`.
Doubles allowed(const Doubles& want, DType type, double operations) {
  Doubles a = absolute(want);
  return scaled(a, operations * kRound + 1.01 * unit_roundoff(type));
}

}  // namespace

TEST_CASE("activations agree with the reference", "[activation][emulator]") {
  on_backends([](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16})
      for (const auto& [f, slope] : kCases)
        for (const int64_t count : kCounts) {
          INFO("f " << int(f) << " slope " << slope << " count " << count << " " << name_of(type));
          const Buffer x(type, inputs(1, count)), other(type, inputs(2, count)), dy(type, uniform(3, count));
          Buffer y(type, count), dx(type, count), sum(type, count);
          activation_forward(y.data(), x.data(), count, type, f, slope, stream);
          Doubles want(size_t(count), 0.0), want_dx = want, want_sum = want, cancelled = want;
          for (int64_t i = 0; i < count; ++i) {
            const double s = x[i] + other[i];
            want[size_t(i)] = reference::activate(f, x[i], double(slope));
            want_sum[size_t(i)] = reference::activate(f, s, double(slope));
            // The fp32 sum is off by 2^-24 of itself, which the sigmoid's exponential turns into |s| 2^-24 of y.
            cancelled[size_t(i)] = std::abs(want_sum[size_t(i)] * s) * kRound;
          }
          // exp(-z) for large |z|: its argument's rounding counts |z| times, and |z| is below 88.
          CHECK(mismatch(y, want, allowed(want, type, f == Activation::sigmoid ? 8 : 2)) == "");

          activation_backward(dx.data(), dy.data(), y.data(), count, type, f, slope, stream);
          Doubles spread(size_t(count), 0.0);
          for (int64_t i = 0; i < count; ++i)
            want_dx[size_t(i)] = dy[i] * reference::activation_derivative(f, y[i], double(slope));
          CHECK(mismatch(dx, want_dx, allowed(want_dx, type, 4)) == "");

          add_activation_forward(sum.data(), x.data(), other.data(), count, type, f, slope, stream);
          Doubles wide = allowed(want_sum, type, 8);
          for (size_t i = 0; i < wide.size(); ++i) wide[i] += cancelled[i];
          CHECK(mismatch(sum, want_sum, wide) == "");
        }
  });
}

TEST_CASE("activations work in place", "[activation][emulator]") {
  on_backends([](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16})
      for (const auto& [f, slope] : kCases) {
        const int64_t count = 40001;
        const Doubles x = inputs(1, count);
        Buffer apart(type, count), in(type, x), place(type, x), dy(type, uniform(2, count)), dx(type, count);
        activation_forward(apart.data(), in.data(), count, type, f, slope, stream);
        activation_forward(place.data(), place.data(), count, type, f, slope, stream);
        CHECK(apart.same_bits(place));
        activation_backward(dx.data(), dy.data(), apart.data(), count, type, f, slope, stream);
        activation_backward(dy.data(), dy.data(), apart.data(), count, type, f, slope, stream);
        CHECK(dx.same_bits(dy));

        Buffer a(type, x), b(type, uniform(3, count)), sum(type, count);
        add_activation_forward(sum.data(), a.data(), b.data(), count, type, f, slope, stream);
        Buffer as_a(type, x), as_b(type, b.values());
        add_activation_forward(as_a.data(), as_a.data(), b.data(), count, type, f, slope, stream);
        add_activation_forward(as_b.data(), a.data(), as_b.data(), count, type, f, slope, stream);
        CHECK(sum.same_bits(as_a));
        CHECK(sum.same_bits(as_b));
      }
  });
}

// Vectors move only where all pointers allow it: each buffer in turn lies one element behind a boundary.
TEST_CASE("activations do not depend on alignment", "[activation][emulator]") {
  on_backends([](Stream stream) {
    const int64_t count = 1003;
    const float slope = 0.1f;
    for (const DType type : {DType::f32, DType::bf16}) {
      const Doubles x = inputs(1, count), other = inputs(2, count);
      const Buffer a(type, x), b(type, other);
      Buffer forward(type, count), backward(type, count), sum(type, count), added(type, x);
      activation_forward(forward.data(), a.data(), count, type, Activation::leaky_relu, slope, stream);
      activation_backward(backward.data(), a.data(), b.data(), count, type, Activation::leaky_relu, slope, stream);
      add_activation_forward(sum.data(), a.data(), b.data(), count, type, Activation::leaky_relu, slope, stream);
      accumulate(added.data(), b.data(), count, type, stream);
      Buffer wide(DType::f32, x), narrow(DType::bf16, count);
      cast_to_bf16(narrow.bf16(), wide.f32(), count, stream);
      for (const int which : {1, 2, 4, 7}) {
        INFO("shifted " << which << " " << name_of(type));
        const Buffer p(type, x, which & 1), q(type, other, which >> 1 & 1);
        Buffer y(type, count, which >> 2), dx(type, count, which >> 2), s(type, count, which >> 2);
        activation_forward(y.data(), p.data(), count, type, Activation::leaky_relu, slope, stream);
        CHECK(y.same_bits(forward));
        activation_backward(dx.data(), p.data(), q.data(), count, type, Activation::leaky_relu, slope, stream);
        CHECK(dx.same_bits(backward));
        add_activation_forward(s.data(), p.data(), q.data(), count, type, Activation::leaky_relu, slope, stream);
        CHECK(s.same_bits(sum));
        Buffer grows(type, x, which >> 2), from(DType::f32, x, which & 1), to(DType::bf16, count, which >> 2);
        accumulate(grows.data(), q.data(), count, type, stream);
        CHECK(grows.same_bits(added));
        cast_to_bf16(to.bf16(), from.f32(), count, stream);
        CHECK(to.same_bits(narrow));
        for (const Buffer* buffer : {&y, &dx, &s, &grows, &to}) CHECK(buffer->guards_intact());
      }
    }
  });
}

TEST_CASE("accumulate adds", "[activation][emulator]") {
  on_backends([](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16})
      for (const int64_t count : kCounts) {
        Buffer y(type, uniform(1, count)), x(type, uniform(2, count));
        Doubles want = y.values();
        for (int64_t i = 0; i < count; ++i) want[size_t(i)] += x[i];
        accumulate(y.data(), x.data(), count, type, stream);
        CHECK(mismatch(y, want, allowed(want, type, 1)) == "");
      }
  });
}

TEST_CASE("activations keep what is not finite", "[activation][emulator]") {
  on_backends([](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16})
      for (const auto& [f, slope] : kCases)
        for (const int64_t at : {0, 13, 39}) {
          Buffer x(type, uniform(1, 40)), zero(type, Doubles(40)), y(type, 40), sum(type, 40), dx(type, 40);
          x.set(at, double(NAN));
          activation_forward(y.data(), x.data(), 40, type, f, slope, stream);
          add_activation_forward(sum.data(), zero.data(), x.data(), 40, type, f, slope, stream);
          activation_backward(dx.data(), x.data(), zero.data(), 40, type, Activation::leaky_relu, 0.1f, stream);
          for (int64_t i = 0; i < 40; ++i) {
            CHECK(std::isnan(y[i]) == (i == at));
            CHECK(std::isnan(sum[i]) == (i == at));
            CHECK(std::isnan(dx[i]) == (i == at));
          }
        }
  });
}

TEST_CASE("activations' gradients agree with finite differences", "[activation][emulator]") {
  const int64_t count = 203;
  Doubles values = uniform(1, count, -3, 3), other = uniform(2, count, -3, 3);
  for (size_t i = 0; i < values.size(); ++i) {  // away from 0, where the leaky ReLU has no derivative
    if (std::abs(values[i]) < 0.01) values[i] = 0.5;
    if (std::abs(values[i] + other[i]) < 0.01) other[i] = values[i];
  }
  on_backends(emulator::Order::reverse, [&](Stream stream) {
    for (const auto& [f, slope] : kCases) {
      INFO("f " << int(f) << " slope " << slope);
      Buffer x(DType::f32, values), added(DType::f32, other), dy(DType::f32, uniform(3, count));
      Buffer y(DType::f32, count), dx(DType::f32, count);
      const auto forward = [&] { activation_forward(y.data(), x.data(), count, DType::f32, f, slope, stream); };
      forward();
      activation_backward(dx.data(), dy.data(), y.data(), count, DType::f32, f, slope, stream);
      check_derivative(x, y, dy.values(), dx, 4, forward);

      const auto sum = [&] {
        add_activation_forward(y.data(), x.data(), added.data(), count, DType::f32, f, slope, stream);
      };
      sum();
      activation_backward(dx.data(), dy.data(), y.data(), count, DType::f32, f, slope, stream);
      check_derivative(x, y, dy.values(), dx, 5, sum);
      check_derivative(added, y, dy.values(), dx, 6, sum);
    }
  });
}

TEST_CASE("cast_to_bf16 rounds every element", "[activation][emulator]") {
  on_backends([](Stream stream) {
    for (const int64_t count : kCounts) {
      Buffer x(DType::f32, inputs(5, count)), y(DType::bf16, count);
      if (count > 2) x.set(1, double(NAN)), x.set(2, -double(INFINITY));
      cast_to_bf16(y.bf16(), x.f32(), count, stream);
      CHECK(y.guards_intact());
      for (int64_t i = 0; i < count; ++i)
        if (y.bf16()[i].bits != to_bf16(x.f32()[i]).bits) FAIL("element " << i << " of " << count);
    }
  });
}
