// Adam, the global norm, and the search for values that are not finite.
#include "kernels/adam.h"

#include <bit>

#include "kernels/harness.h"
#include "kernels/reference.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

// global_norm with a guarded workspace.
void norm_of(Buffer& norm, Buffer& g, Stream stream) {
  Buffer workspace(DType::u8, int64_t(global_norm_workspace(g.count(), stream)));
  global_norm(norm.f32(), g.f32(), g.count(), workspace.data(), stream);
  CHECK(workspace.guards_intact());
}

// `steps` steps of Adam on `count` parameters, launcher and reference side by side.
void check_adam(int64_t count, int steps, const AdamOptions& options, float lr, bool average, bool copy,
                Stream stream) {
  INFO("count " << count << " average " << average << " copy " << copy << " clip " << options.clip_norm);
  const Doubles start = uniform(1, count);
  Buffer w(DType::f32, start), m(DType::f32, Doubles(size_t(count))), v(DType::f32, Doubles(size_t(count)));
  Buffer mean(DType::f32, start), rounded(DType::bf16, count), norm_buffer(DType::f32, 1);
  reference::AdamState want{w.values(), m.values(), v.values(), average ? mean.values() : Doubles{}};
  Values<StepState> state(1);
  state[0] = {1, 0, lr, 0};
  // How far the fp32 numbers may have strayed: the roundings of all steps so far. Of the step itself, 12 roundings.
  Doubles w_allowed(size_t(count), 0.0), mean_allowed = w_allowed;
  for (int t = 1; t <= steps; ++t) {
    Doubles values = uniform(uint64_t(100 + t), count);
    for (size_t i = 0; i < values.size(); ++i) values[i] *= std::pow(10.0, -double(i % 9));  // 1 down to 1e-8
    if (count > 3) values[3] = 0;
    Buffer g(DType::f32, values);
    const double size = norm(g.values());
    norm_buffer.set(0, size);
    adam({w.f32(), m.f32(), v.f32(), g.f32(), average ? mean.f32() : nullptr, copy ? rounded.bf16() : nullptr, count},
         norm_buffer.f32(), state.data(), options, stream);
    reference::adam(want, g.values(), norm_buffer[0], double(lr), t, options);
    CHECK(state[0].step == uint64_t(t - 1));  // not advanced here
    advance(state.data(), stream);
    CHECK(state[0].step == uint64_t(t));

    Doubles m_allowed = want.m, v_allowed = want.v;
    for (size_t i = 0; i < w_allowed.size(); ++i) {
      // m is a sum of terms of both signs, each no larger than the largest gradient of its scale.
      m_allowed[i] = 8 * kRound * std::pow(10.0, -double(i % 9));
      v_allowed[i] = 8 * t * kRound * std::abs(want.v[i]);
      w_allowed[i] += 2 * kRound * std::abs(want.w[i]) + 16 * t * kRound * double(lr);
      mean_allowed[i] += 2 * kRound * (std::abs(want.w[i]) + 1) + w_allowed[i];
    }
    CHECK(mismatch(m, want.m, m_allowed) == "");
    CHECK(mismatch(v, want.v, v_allowed) == "");
    CHECK(mismatch(w, want.w, w_allowed) == "");
    if (average)
      CHECK(mismatch(mean, want.average, mean_allowed) == "");
    else
      CHECK(mean.values() == Buffer(DType::f32, start).values());
    if (copy) {
      Buffer exact(DType::bf16, w.values());
      CHECK(exact.same_bits(rounded));
      CHECK(rounded.guards_intact());
    }
  }
}

// A clipped step on many parameters, and the norm that clips it.
struct Clipped {
  static constexpr int64_t kCount = 100003;
  Buffer w{DType::f32, uniform(1, kCount)}, norm{DType::f32, 1};

  explicit Clipped(Stream stream) {
    Buffer m(DType::f32, uniform(2, kCount)), v(DType::f32, uniform(3, kCount, 0, 1)),
        g(DType::f32, uniform(4, kCount));
    AdamOptions options;
    options.clip_norm = 1;
    Values<StepState> state(1);
    state[0] = {1, 5, 1e-3f, 0};
    norm_of(norm, g, stream);
    adam({w.f32(), m.f32(), v.f32(), g.f32(), nullptr, nullptr, kCount}, norm.f32(), state.data(), options, stream);
  }
  void check_same(const Clipped& other) const {
    CHECK(w.same_bits(other.w));
    CHECK(norm.same_bits(other.norm));
  }
};

}  // namespace

TEST_CASE("adam agrees with the reference", "[adam][emulator]") {
  on_backends([](Stream stream) {
    AdamOptions options;
    for (const int64_t count : {1, 2, 17, 1000, 40001}) {
      check_adam(count, 4, options, 5e-5f, false, false, stream);
      check_adam(count, 4, options, 1e-2f, false, true, stream);
    }
    options.beta1 = 0.5f;
    options.ema_decay = 0.999f;
    check_adam(1031, 25, options, 1e-3f, true, true, stream);
    options.ema_decay = 0.2f;  // below (1 + t) / (10 + t) from the second step
    check_adam(1031, 5, options, 1e-3f, true, false, stream);
    options.clip_norm = 0.5f;
    check_adam(1031, 5, options, 1e-3f, true, true, stream);
    options.clip_norm = 1e6f;  // never reached: as if not clipped
    check_adam(1031, 5, options, 1e-3f, false, true, stream);
  });
}

// Vectors move only where all pointers allow it: each buffer in turn lies one element behind a boundary.
TEST_CASE("adam does not depend on alignment", "[adam][emulator]") {
  on_backends([](Stream stream) {
    const int64_t count = 1003;
    Values<StepState> state(1);
    state[0] = {1, 5, 1e-2f, 0};
    AdamOptions options;
    options.ema_decay = 0.9f;
    struct Range {
      Buffer w, m, v, g, average, copy;
      explicit Range(int shifted)
          : w(DType::f32, uniform(1, count), shifted == 0),
            m(DType::f32, uniform(2, count), shifted == 1),
            v(DType::f32, uniform(3, count, 0, 1), shifted == 2),
            g(DType::f32, uniform(4, count), shifted == 3),
            average(DType::f32, uniform(5, count), shifted == 4),
            copy(DType::bf16, count, shifted == 5) {}
    };
    const auto run = [&](Range& r) {
      adam({r.w.f32(), r.m.f32(), r.v.f32(), r.g.f32(), r.average.f32(), r.copy.bf16(), count}, nullptr, state.data(),
           options, stream);
      for (const Buffer* b : {&r.w, &r.m, &r.v, &r.g, &r.average, &r.copy}) CHECK(b->guards_intact());
    };
    Range aligned(-1);
    run(aligned);
    for (int shifted = 0; shifted < 6; ++shifted) {
      INFO("shifted " << shifted);
      Range r(shifted);
      run(r);
      CHECK(r.w.same_bits(aligned.w));
      CHECK(r.m.same_bits(aligned.m));
      CHECK(r.v.same_bits(aligned.v));
      CHECK(r.average.same_bits(aligned.average));
      CHECK(r.copy.same_bits(aligned.copy));
    }
  });
}

TEST_CASE("adam late in a run: the corrections tend to 1", "[adam][emulator]") {
  on_backends([](Stream stream) {
    Buffer w(DType::f32, uniform(1, 100)), m(DType::f32, uniform(2, 100)), v(DType::f32, uniform(3, 100, 0, 1));
    Buffer g(DType::f32, uniform(4, 100));
    AdamOptions options;
    reference::AdamState want{w.values(), m.values(), v.values(), {}};
    Values<StepState> state(1);
    state[0] = {1, 1000000, 1e-3f, 0};
    adam({w.f32(), m.f32(), v.f32(), g.f32(), nullptr, nullptr, 100}, nullptr, state.data(), options, stream);
    reference::adam(want, g.values(), 0, double(state[0].lr), 1000001, options);
    Doubles allowed(100, 0.0);
    for (size_t i = 0; i < 100; ++i)
      allowed[i] = 2 * kRound * std::abs(want.w[i]) + 16 * kRound * std::abs(want.m[i] / std::sqrt(want.v[i])) * 1e-3;
    CHECK(mismatch(w, want.w, allowed) == "");
  });
}

TEST_CASE("adam and the norm give the same bits on every thread count", "[adam][emulator]") {
  if (!emulator::checked())
    on_fast_backends([](Stream stream) {
      const Clipped first(stream);
      for (const int threads : {1, 2, 3, 7}) with_threads(threads, [&] { Clipped(stream).check_same(first); });
    });
  // And of the emulator's in every order of its blocks and warps.
  using emulator::Order;
  testing::on_emulator(Order::forward, [](Stream stream) {
    const Clipped first(stream);
    for (const auto& [order, threads] : {std::pair{Order::reverse, 1}, {Order::shuffled, 3}})
      testing::on_emulator(order, [&](Stream s) { with_threads(threads, [&] { Clipped(s).check_same(first); }); });
  });
}

TEST_CASE("global_norm agrees with the reference", "[adam][emulator]") {
  const auto check_values = [](const Doubles& values, Stream stream) {
    INFO("count " << values.size());
    Buffer g(DType::f32, values), got(DType::f32, 1);
    norm_of(got, g, stream);
    const double want = norm(g.values());
    CHECK(mismatch(got, {want}, {2 * kRound * want}) == "");
  };
  const auto check_count = [&](int64_t count, Stream stream) { check_values(uniform(uint64_t(count), count), stream); };
  // Squares beyond the range of fp32 are summed in double.
  const Doubles large{3e25, 4e25}, small{3e-25, 4e-25};
  if (!emulator::checked())
    on_fast_backends([&](Stream stream) {
      for (const int64_t count : {1, 2, 63, 64, 65, 1000, 300007}) check_count(count, stream);
      check_values(large, stream), check_values(small, stream);
    });
  // Parts without an element, of one, and of more than a block has threads.
  using emulator::Order;
  testing::on_emulator(Order::forward, [&](Stream stream) { check_count(1, stream), check_values(large, stream); });
  testing::on_emulator(Order::reverse, [&](Stream stream) { check_count(1000, stream), check_values(small, stream); });
  testing::on_emulator(Order::shuffled, [&](Stream stream) { check_count(300007, stream); });
}

TEST_CASE("first_nonfinite finds the first value that is not finite", "[adam][emulator]") {
  on_backends([](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16})
      for (const int64_t count : {1, 2, 17, 1000, 70001}) {
        Buffer x(type, uniform(1, count));
        if (count > 2) x.set(0, 3e38), x.set(1, 0), x.set(2, -3e38);  // large is not infinite
        CHECK(first_nonfinite(x.data(), count, type, stream) == -1);
        for (const double bad : {double(NAN), double(INFINITY), -double(INFINITY)})
          for (const int64_t at : {int64_t(0), count / 3, count / 2, count - 1}) {
            Buffer y(type, x.values());
            y.set(at, bad);
            y.set(count - 1, bad);  // and a later one
            CHECK(first_nonfinite(y.data(), count, type, stream) == at);
            with_threads(3, [&] { CHECK(first_nonfinite(y.data(), count, type, stream) == at); });
          }
      }
    CHECK(first_nonfinite(nullptr, 0, DType::f32, stream) == -1);
    // Every NaN is one: quiet or signalling, of any sign and payload.
    Buffer wide(DType::f32, uniform(1, 3)), narrow(DType::bf16, uniform(1, 3));
    for (const uint32_t bits : {0x7F800001u, 0xFFFFFFFFu, 0x7FC00001u, 0xFF810000u}) {
      wide.f32()[2] = std::bit_cast<float>(bits);
      CHECK(first_nonfinite(wide.data(), 3, DType::f32, stream) == 2);
    }
    for (const uint16_t bits : {uint16_t(0x7F81), uint16_t(0xFFFF), uint16_t(0x7FC1)}) {
      narrow.bf16()[2].bits = bits;
      CHECK(first_nonfinite(narrow.data(), 3, DType::bf16, stream) == 2);
    }
  });
}
