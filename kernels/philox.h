// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011, section 3.3). The value at a counter depends on nothing but (key, counter), so that any step can be
// replayed and any thread can draw its own numbers.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/both.h"

namespace doppel {

struct Philox4 {
  uint32_t v[4];
};

DOPPEL_BOTH inline Philox4 philox4x32(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  uint32_t c0 = uint32_t(counter_low), c1 = uint32_t(counter_low >> 32);
  uint32_t c2 = uint32_t(counter_high), c3 = uint32_t(counter_high >> 32);
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t(0xD2511F53u) * c0;
    const uint64_t p1 = uint64_t(0xCD9E8D57u) * c2;
    const uint32_t n0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c1 = uint32_t(p1);
    c3 = uint32_t(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// A stream of numbers for one (seed, step, sample), from its word `first` on: threads that share a stream begin where
// their own numbers are.
class Random {
 public:
  DOPPEL_BOTH Random(uint64_t seed, uint64_t step, uint32_t sample, uint32_t first = 0)
      : seed_(seed), step_(step), sample_(sample), index_(first / 4) {
    if (first % 4 != 0) {
      bits();
      have_ = 4 - int(first % 4);
    }
  }

  DOPPEL_BOTH uint32_t bits() {
    if (have_ == 0) {
      block_ = philox4x32(seed_, step_, (uint64_t(sample_) << 32) | index_++);
      have_ = 4;
    }
    return block_.v[4 - have_--];
  }

  // [0, 1), 24 bits.
  DOPPEL_BOTH float uniform() { return float(bits() >> 8) * 0x1p-24f; }
  DOPPEL_BOTH float uniform(float low, float high) { return low + (high - low) * uniform(); }

  // N(0, 1) by Box and Muller (1958); two uniforms give one value, the other half is not kept.
  DOPPEL_BOTH float normal() {
    const float u = 1.0f - uniform();  // (0, 1]: the logarithm stays finite
    const float v = uniform();
    return std::sqrt(-2.0f * std::log(u)) * std::cos(6.28318530718f * v);
  }

  // [0, n), n > 0; the bias of n / 2^32 does not matter for the sizes of face sets.
  DOPPEL_BOTH uint32_t below(uint32_t n) { return uint32_t((uint64_t(bits()) * n) >> 32); }

 private:
  uint64_t seed_, step_;
  uint32_t sample_, index_;
  Philox4 block_{};
  int have_ = 0;
};

}  // namespace doppel
