// Each instruction that kernels may use, on the emulator (and on a card, when there is one), against what its
// documentation says.
#include "emulator/instructions.h"

#include <numeric>

#include "kernels/emulator/emulator.h"
#include "kernels/harness.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

template <typename Body>
void where_compiled(Body body) {
  if (!compiled_for_card())
    on_emulator(body);
  else if (card_present())
    body(Stream{Device::cuda});
}

}  // namespace

TEST_CASE("every thread knows its place", "[emulator]") {
  where_compiled([](Stream stream) {
    const int shapes[][4] = {{1, 1, 1, 1}, {7, 33, 1, 1}, {3, 5, 4, 3}, {2, 1024, 1, 1}, {2, 16, 16, 4}};
    for (const auto& [blocks, x, y, z] : shapes) {
      const int each = x * y * z;
      Values<int> out(blocks * each);
      run_indices(out.data(), blocks, x, y, z, stream);
      for (int i = 0; i < blocks * each; ++i)
        if (out[i] != 1000 * (i / each) + i % each) FAIL("thread " << i << " of " << x << "," << y << "," << z);
    }
  });
}

TEST_CASE("sums over a block are those of its elements", "[emulator]") {
  where_compiled([](Stream stream) {
    const int blocks = 9;
    const Buffer x(DType::f32, uniform(1, blocks * 256));
    Buffer out(DType::f32, blocks);
    run_block_sum(static_cast<float*>(out.data()), static_cast<const float*>(x.data()), blocks, stream);
    Doubles want(blocks), allowed(blocks, 256 * kRound);
    for (int i = 0; i < blocks * 256; ++i) want[size_t(i / 256)] += x[i];
    CHECK(mismatch(out, want, allowed) == "");
  });
}

TEST_CASE("lanes exchange values", "[emulator]") {
  where_compiled([](Stream stream) {
    Values<uint32_t> x(32), out(12 * 32);
    for (int i = 0; i < 32; ++i) x[i] = uint32_t(100 + i);
    run_warp(out.data(), x.data(), stream);
    uint32_t sum = 0, odd = 0;
    for (int i = 0; i < 32; ++i) sum += x[i], odd |= (x[i] & 1u) << i;
    for (int i = 0; i < 32; ++i) {
      INFO("lane " << i);
      CHECK(out[0 * 32 + i] == x[3]);
      CHECK(out[1 * 32 + i] == x[i == 0 ? 0 : i - 1]);
      CHECK(out[2 * 32 + i] == x[i > 29 ? i : i + 2]);
      CHECK(out[3 * 32 + i] == x[i ^ 5]);
      CHECK(out[4 * 32 + i] == x[i % 8 == 0 ? i : i - 1]);
      CHECK(out[5 * 32 + i] == odd);
      CHECK(out[6 * 32 + i] == 0xFu << (i / 4 * 4));
      CHECK(out[7 * 32 + i] == sum);
      CHECK(int(out[8 * 32 + i]) == -15);
      CHECK(int(out[9 * 32 + i]) == 16);
      CHECK(out[10 * 32 + i] == 0);
      CHECK(out[11 * 32 + i] == uint32_t(-1));
    }
  });
}

TEST_CASE("producers and consumers meet at numbered barriers and mbarriers", "[emulator]") {
  where_compiled([](Stream stream) {
    const Buffer x(DType::f32, uniform(3, 256));
    const float* in = static_cast<const float*>(x.data());
    Doubles want(32), allowed(32, 16 * kRound);
    for (int i = 0; i < 256; ++i) want[size_t(i % 32)] += x[i];
    Buffer a(DType::f32, 32), b(DType::f32, 32), c(DType::f32, 32);
    run_pipeline_barriers(a.f32(), in, stream);
    CHECK(mismatch(a, want, allowed) == "");
    run_pipeline_mbarriers(b.f32(), in, stream);
    CHECK(mismatch(b, want, allowed) == "");
    if (stream.device == Device::emulator) {
      CHECK_THROWS_WITH(run_pipeline_bulk(c.f32(), in, stream), Catch::Contains("needs sm_90"));
      emulator::options().sm = 90;
      run_pipeline_bulk(c.f32(), in, stream);
      emulator::options().sm = 80;
      CHECK(mismatch(c, want, allowed) == "");
    }
  });
}

TEST_CASE("ldmatrix places the elements of each row", "[emulator]") {
  where_compiled([](Stream stream) {
    Values<Bf16> x(32 * 8);
    for (int i = 0; i < 256; ++i) x[i].bits = uint16_t(i);  // row 8 m + r, column c: 64 m + 8 r + c
    for (const int count : {1, 2, 4})
      for (const bool transposed : {false, true}) {
        Values<uint32_t> out(4 * 32);
        run_ldmatrix(out.data(), x.data(), count, transposed, stream);
        for (int m = 0; m < count; ++m)
          for (int l = 0; l < 32; ++l) {
            const int r = l / 4, c = 2 * (l % 4), step = transposed ? 8 : 1;
            const int first = 64 * m + (transposed ? 8 * c + r : 8 * r + c);
            if (out[m * 32 + l] != uint32_t(first | (first + step) << 16)) FAIL("x" << count << " lane " << l);
          }
      }
  });
}

TEST_CASE("mma multiplies matrices", "[emulator]") {
  where_compiled([](Stream stream) {
    for (const DType type : {DType::bf16, DType::f32}) {
      const int k = type == DType::bf16 ? 16 : 8;
      Doubles va = uniform(1, 16 * k), vb = uniform(2, k * 8);
      // tf32 has 10 bits of fraction: values that need no more are exact.
      for (Doubles* v : {&va, &vb})
        for (double& e : *v) e = std::round(e * 512) / 512;
      const Buffer a(type, va), b(type, vb), c(DType::f32, uniform(3, 128));
      Buffer d(DType::f32, 128);
      if (type == DType::bf16)
        run_mma_bf16(d.f32(), static_cast<const Bf16*>(a.data()), static_cast<const Bf16*>(b.data()),
                     static_cast<const float*>(c.data()), stream);
      else
        run_mma_tf32(d.f32(), static_cast<const float*>(a.data()), static_cast<const float*>(b.data()),
                     static_cast<const float*>(c.data()), stream);
      Doubles want(128), allowed(128);
      for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j) {
          double sum = c[i * 8 + j], size = std::abs(sum);
          for (int e = 0; e < k; ++e) sum += a[i * k + e] * b[e * 8 + j], size += std::abs(a[i * k + e] * b[e * 8 + j]);
          want[size_t(i * 8 + j)] = sum;
          allowed[size_t(i * 8 + j)] = size * 16 * kRound;
        }
      CHECK(mismatch(d, want, allowed) == "");
    }
  });
}

TEST_CASE("asynchronous copies bring the data, zero-fill the rest, and are there after their wait", "[emulator]") {
  where_compiled([](Stream stream) {
    const Buffer x(DType::f32, uniform(1, 128));
    const float* in = static_cast<const float*>(x.data());
    for (const int bytes : {4, 8, 16})
      for (const int valid : {0, 1, 2, 3, 5, 64, 127, 128}) {
        Buffer out(DType::f32, 128);
        run_copy_async(out.f32(), in, bytes, valid, stream);
        Doubles want = x.values();
        for (int i = valid; i < 128; ++i) want[size_t(i)] = 0;
        CHECK(mismatch(out, want, Doubles(128)) == "");
      }
    if (stream.device == Device::emulator && !emulator::checked()) {
      Buffer early(DType::f32, 64), late(DType::f32, 32);
      run_copy_timing(early.f32(), late.f32(), in, stream);
      for (int i = 0; i < 32; ++i) {
        CHECK(early[i] == -1);         // the younger group: under way
        CHECK(early[32 + i] == x[i]);  // the older one: arrived
        CHECK(late[i] == x[i]);
      }
    }
  });
}

TEST_CASE("atomics lose nothing, and the last block sees what the others wrote", "[emulator]") {
  where_compiled([](Stream stream) {
    const int blocks = 50;
    Values<int> x(blocks * 64), low(1), high(1);
    for (int i = 0; i < blocks * 64; ++i) x[i] = i * 7919 % 1000 - 500;
    Values<unsigned> count(1);
    count[0] = 0, low[0] = 0, high[0] = 0;
    run_atomics(count.data(), low.data(), high.data(), x.data(), blocks, stream);
    CHECK(count[0] == unsigned(blocks) * 64);
    CHECK(low[0] == -500);
    CHECK(high[0] == 499);

    const Buffer values(DType::f32, uniform(1, blocks * 64));
    Buffer last(DType::f32, 1), partial(DType::f32, blocks);
    count[0] = 0;
    run_last_block(last.f32(), partial.f32(), count.data(), static_cast<const float*>(values.data()), blocks, stream);
    const Doubles v = values.values();
    CHECK(mismatch(last, {std::accumulate(v.begin(), v.end(), 0.0)}, {sum_error(blocks * 64) * blocks * 64}) == "");
  });
}

TEST_CASE("shared memory is NaN in each new block", "[emulator]") {
  if (emulator::checked()) return;  // which reports the reads
  where_compiled([](Stream stream) {
    if (stream.device != Device::emulator) return;
    Values<float> out(2 * 7);
    run_poison(out.data(), 7, stream);
    for (int i = 0; i < 14; ++i) CHECK(std::isnan(out[i]));
  });
}
