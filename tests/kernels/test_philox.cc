// Philox against the known answers of its authors' library (Random123, kat_vectors), and the streams built on it.
#include "kernels/harness.h"

using namespace doppel;
using namespace doppel::testing;

static bool equals(const Philox4& got, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return got.v[0] == a && got.v[1] == b && got.v[2] == c && got.v[3] == d;
}

TEST_CASE("philox gives the known answers", "[philox]") {
  const uint64_t ones = ~uint64_t(0);
  CHECK(equals(philox4x32(0, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  CHECK(equals(philox4x32(ones, ones, ones), 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  // Digits of pi: counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0.
  CHECK(equals(philox4x32(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e), 0xd16cfe09, 0x94fdcceb,
               0x5001e420, 0x24126ea1));
}

TEST_CASE("a stream is the philox blocks of its counters, in order", "[philox]") {
  Random random(7, 11, 3);
  for (uint64_t index = 0; index < 3; ++index) {
    const Philox4 block = philox4x32(7, 11, (uint64_t(3) << 32) | index);
    for (uint32_t word : block.v) CHECK(random.bits() == word);
  }
}

TEST_CASE("streams differ in seed, step and sample", "[philox]") {
  const auto first = [](uint64_t seed, uint64_t step, uint32_t sample) { return Random(seed, step, sample).bits(); };
  CHECK(first(1, 2, 3) == first(1, 2, 3));
  CHECK(first(1, 2, 3) != first(2, 2, 3));
  CHECK(first(1, 2, 3) != first(1, 3, 3));
  CHECK(first(1, 2, 3) != first(1, 2, 4));
}

TEST_CASE("a stream can be entered at any word", "[philox]") {
  Random whole(3, 4, 5);
  std::vector<uint32_t> words(40);
  for (uint32_t& w : words) w = whole.bits();
  for (uint32_t first = 0; first < 30; ++first) {
    Random part(3, 4, 5, first);
    for (uint32_t i = first; i < first + 10; ++i) CHECK(part.bits() == words[i]);
  }
}

TEST_CASE("uniform, normal and below have their distributions", "[philox]") {
  const int count = 200000;
  Random random(5, 0, 0);
  double sum = 0, squares = 0;
  float low = 1, high = 0;
  for (int i = 0; i < count; ++i) {
    const float u = random.uniform();
    low = std::min(low, u), high = std::max(high, u);
    sum += double(u), squares += double(u) * double(u);
  }
  CHECK(low >= 0);
  CHECK(high < 1);
  // Five standard deviations of the estimates.
  CHECK(sum / count == Approx(0.5).margin(5 * std::sqrt(1.0 / 12 / count)));
  CHECK(squares / count == Approx(1.0 / 3).margin(5 * std::sqrt(4.0 / 45 / count)));

  double mean = 0, variance = 0, fourth = 0;
  for (int i = 0; i < count; ++i) {
    const double v = double(random.normal());
    mean += v / count, variance += v * v / count, fourth += v * v * v * v / count;
  }
  CHECK(mean == Approx(0).margin(5 / std::sqrt(count)));
  CHECK(variance == Approx(1).margin(5 * std::sqrt(2.0 / count)));
  CHECK(fourth == Approx(3).margin(5 * std::sqrt(96.0 / count)));

  std::vector<int> histogram(7);
  for (int i = 0; i < count; ++i) ++histogram.at(random.below(7));
  for (int seen : histogram) CHECK(seen == Approx(count / 7.0).margin(5 * std::sqrt(count / 7.0)));
  CHECK(Random(1, 1, 1).below(1) == 0);
}

TEST_CASE("bf16 rounds to nearest, ties to even, and keeps NaN and infinity", "[dtype]") {
  const auto rounded = [](float v) { return to_float(to_bf16(v)); };
  CHECK(rounded(1.0f) == 1.0f);
  CHECK(rounded(1.0f + 0x1p-8f) == 1.0f);               // a tie: down to the even one
  CHECK(rounded(1.0f + 0x1.8p-7f) == 1.0f + 0x1p-6f);   // a tie: up to the even one
  CHECK(rounded(1.0f + 0x1.02p-8f) == 1.0f + 0x1p-7f);  // just above a tie
  CHECK(rounded(-1.0f - 0x1.02p-8f) == -1.0f - 0x1p-7f);
  CHECK(std::isinf(rounded(INFINITY)));
  CHECK(std::isinf(rounded(3.4e38f)));  // above the largest bf16
  CHECK(std::isnan(rounded(NAN)));
  CHECK(std::isnan(rounded(std::bit_cast<float>(0x7F800001u))));  // only low bits set: must not become infinity
  CHECK(std::isnan(rounded(std::bit_cast<float>(0xFFFFFFFFu))));
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Bf16 v{uint16_t(bits)};
    if (!std::isnan(to_float(v)) && to_bf16(to_float(v)).bits != v.bits) FAIL("bf16 " << bits << " changed");
  }
}
