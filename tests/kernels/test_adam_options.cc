// The optimiser's options: AdaBelief and learning-rate dropout.
#include "kernels/adam.h"
#include "kernels/harness.h"
#include "kernels/reference.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr double kNorm = 3;  // said to be the gradient's

// One state of the optimiser; `shift` elements behind a vector's boundary.
struct Weights {
  int64_t count, shift;
  Buffer w, m, v, average, copy;

  Weights(int64_t n, int64_t behind)
      : count(n),
        shift(behind),
        w(DType::f32, uniform(1, n + behind)),
        m(DType::f32, Doubles(size_t(n + behind))),
        v(DType::f32, Doubles(size_t(n + behind))),
        average(DType::f32, uniform(1, n + behind)),
        copy(DType::bf16, Doubles(size_t(n + behind))) {}

  void step(Buffer& g, const StepState& state, const AdamOptions& options, Stream stream) {
    Values<StepState> on_device(1);
    on_device[0] = state;
    Buffer length(DType::f32, Doubles{kNorm});
    adam({w.f32() + shift, m.f32() + shift, v.f32() + shift, g.f32() + shift,
          options.ema_decay > 0 ? average.f32() + shift : nullptr, copy.bf16() + shift, count},
         length.f32(), on_device.data(), options, stream);
  }
};

// Gradients of scales from 1 down to 1e-8.
Doubles gradients(int64_t count, int t) {
  Doubles values = uniform(uint64_t(100 + t), count);
  for (size_t i = 0; i < values.size(); ++i) values[i] *= std::pow(10.0, -double(i % 9));
  return values;
}

}  // namespace

TEST_CASE("AdaBelief agrees with the reference", "[adam][emulator]") {
  on_backends([](Stream stream) {
    for (const float eps : {1e-16f, 1e-6f})
      for (const auto& [count, shift] : {std::pair{1, 0}, {3, 0}, {17, 0}, {1500, 0}, {300, 1}}) {
        INFO("count " << count << " shift " << shift << " eps " << eps);
        AdamOptions options;
        options.belief = true, options.eps = eps, options.ema_decay = 0.9f;
        options.clip_norm = count == 17 ? 2.0f : 0;
        const double lr = 1e-3;
        Weights x(count, shift);
        reference::AdamState want{x.w.values(), x.m.values(), x.v.values(), x.average.values()};
        Doubles w_allowed(size_t(count + shift), 0.0), mean_allowed = w_allowed;
        for (int t = 1; t <= 5; ++t) {
          Buffer g(DType::f32, gradients(count + shift, t));
          Doubles used = g.values();
          x.step(g, {1, uint64_t(t - 1), float(lr), 0}, options, stream);
          reference::AdamState before = want;
          reference::adam(want, used, kNorm, double(float(lr)), t, options);
          for (int64_t i = 0; i < shift; ++i) {  // what lies in front is not touched
            const size_t k = size_t(i);
            want.w[k] = before.w[k], want.m[k] = before.m[k], want.v[k] = before.v[k],
            want.average[k] = before.average[k];
          }
          Doubles m_allowed = want.m, v_allowed = want.v;
          for (size_t i = 0; i < w_allowed.size(); ++i) {
            m_allowed[i] = 8 * kRound * std::pow(10.0, -double(i % 9));
            // The surprise g - m is off by some 2^-24 of the largest gradient so far, and so is not much of itself.
            v_allowed[i] = 64 * t * kRound * want.v[i];
            w_allowed[i] += 2 * kRound * std::abs(want.w[i]) + 256 * t * kRound * lr;
            mean_allowed[i] += 2 * kRound * (std::abs(want.w[i]) + 1) + w_allowed[i];
          }
          CHECK(mismatch(x.m, want.m, m_allowed) == "");
          CHECK(mismatch(x.v, want.v, v_allowed) == "");
          CHECK(mismatch(x.w, want.w, w_allowed) == "");
          CHECK(mismatch(x.average, want.average, mean_allowed) == "");
        }
        for (int64_t i = shift; i < count + shift; ++i)
          if (x.copy.bf16()[i].bits != to_bf16(x.w.f32()[i]).bits) FAIL("copy of element " << i);
      }
  });
}

TEST_CASE("AdaBelief takes larger steps than Adam where the gradient stays the same", "[adam]") {
  AdamOptions plain, belief;
  belief.belief = true;
  plain.eps = belief.eps = 1e-16f;
  Weights a(8, 0), b(8, 0);
  const Doubles start = a.w.values();
  Buffer g(DType::f32, Doubles(8, 0.5));
  for (uint64_t t = 0; t < 50; ++t) {
    a.step(g, {1, t, 1e-3f, 0}, plain, {});
    b.step(g, {1, t, 1e-3f, 0}, belief, {});
  }
  for (int64_t i = 0; i < 8; ++i) {
    CHECK(start[size_t(i)] - a.w[i] == Approx(0.05).epsilon(1e-3));  // lr a step
    CHECK(start[size_t(i)] - b.w[i] > 0.1);
  }
}

TEST_CASE("learning-rate dropout moves the drawn weights and no others", "[adam][emulator]") {
  on_backends([](Stream stream) {
    for (const bool belief : {false, true})
      for (const auto& [count, shift] : {std::pair{1, 0}, {6, 0}, {3001, 0}, {401, 3}})
        for (const float moved : {0.3f, 0.0f}) {
          INFO("count " << count << " shift " << shift << " moved " << moved);
          AdamOptions all, some;
          all.belief = some.belief = belief;
          some.moved = moved;
          Weights a(count, shift), b(count, shift);
          const Doubles start = a.w.values();
          Buffer g(DType::f32, gradients(count + shift, 1));
          const StepState state{(uint64_t(3) << 33) + 7, 12, 1e-2f, 0};
          a.step(g, state, all, stream);
          b.step(g, state, some, stream);
          CHECK(a.m.same_bits(b.m));
          CHECK(a.v.same_bits(b.v));
          for (int64_t i = 0; i < count; ++i) {
            const Philox4 words = drawn_moves(state.seed, state.step, uint64_t(i / 4));
            const double want = is_moved(words.v[i % 4], moved) ? a.w[shift + i] : start[size_t(shift + i)];
            if (b.w[shift + i] != want) FAIL("element " << i);
            if (b.copy.bf16()[shift + i].bits != to_bf16(float(want)).bits) FAIL("copy of element " << i);
          }
        }
  });
}

TEST_CASE("learning-rate dropout draws anew in each step, the asked part, apart from the warp", "[adam]") {
  const int64_t count = 40000;
  const auto drawn = [&](uint64_t seed, uint64_t step) {
    std::vector<bool> moves;
    for (int64_t i = 0; i < count; ++i)
      moves.push_back(is_moved(drawn_moves(seed, step, uint64_t(i / 4)).v[i % 4], 0.3f));
    return moves;
  };
  const auto both = [&](const std::vector<bool>& a, const std::vector<bool>& b) {
    double n = 0;
    for (size_t i = 0; i < a.size(); ++i) n += a[i] && b[i];
    return n / double(count);
  };
  const std::vector<bool> first = drawn(1, 1), later = drawn(1, 2), other = drawn(2, 1);
  const double margin = 5 * std::sqrt(0.3 * 0.7 / double(count));
  CHECK(both(first, first) == Approx(0.3).margin(margin));
  CHECK(both(first, later) == Approx(0.09).margin(margin));
  CHECK(both(first, other) == Approx(0.09).margin(margin));
  CHECK(drawn_moves(1, 1, 0).v[0] != Random(1, 1, 0).bits());
}

TEST_CASE("learning-rate dropout has the same bits on every thread count", "[adam][emulator]") {
  on_backends([](Stream stream) {
    const int64_t count = stream.device == Device::emulator ? 5003 : 100003;
    AdamOptions options;
    options.moved = 0.5f, options.belief = true;
    Buffer g(DType::f32, uniform(4, count));
    Weights first(count, 0);
    first.step(g, {1, 5, 1e-3f, 0}, options, stream);
    for (const int threads : {1, 3}) {
      Weights again(count, 0);
      with_threads(threads, [&] { again.step(g, {1, 5, 1e-3f, 0}, options, stream); });
      CHECK(again.w.same_bits(first.w));
    }
  });
}

TEST_CASE("a step along a gradient that is not finite changes nothing", "[adam][emulator]") {
  on_backends([](Stream stream) {
    const int64_t count = 1003;
    Values<StepState> state(1);
    state[0] = {1, 5, 1e-2f, 0};
    for (const float clip : {0.f, 1.f})
      for (const bool belief : {false, true})
        for (const float moved : {1.f, 0.5f}) {
          AdamOptions options;
          options.ema_decay = 0.9f, options.clip_norm = clip, options.belief = belief, options.moved = moved;
          const Buffer start(DType::f32, uniform(1, count)), start_m(DType::f32, uniform(2, count)),
              start_v(DType::f32, uniform(3, count, 0, 1)), start_average(DType::f32, uniform(5, count)),
              start_copy(DType::bf16, uniform(1, count));
          // Whether anything was written.
          const auto changed = [&](double norm_of_g) {
            Buffer w(DType::f32, start.values()), m(DType::f32, start_m.values()), v(DType::f32, start_v.values()),
                average(DType::f32, start_average.values()), copy(DType::bf16, start_copy.values());
            Buffer g(DType::f32, uniform(4, count)), norm_buffer(DType::f32, Doubles{norm_of_g});
            if (!std::isfinite(norm_of_g)) g.set(700, norm_of_g);
            adam({w.f32(), m.f32(), v.f32(), g.f32(), average.f32(), copy.bf16(), count}, norm_buffer.f32(),
                 state.data(), options, stream);
            const bool same[] = {w.same_bits(start), m.same_bits(start_m), v.same_bits(start_v),
                                 average.same_bits(start_average), copy.same_bits(start_copy)};
            const int64_t kept = std::count(std::begin(same), std::end(same), true);
            CHECK((kept == 0 || kept == 5));
            return kept == 0;
          };
          CHECK(changed(18.0));
          CHECK(changed(1e19));
          CHECK_FALSE(changed(2e19));  // its square is beyond fp32
          CHECK_FALSE(changed(double(NAN)));
          CHECK_FALSE(changed(double(INFINITY)));
        }
  });
}
