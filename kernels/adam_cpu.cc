#include <cmath>

#include "kernels/adam.h"
#include "kernels/parallel.h"

namespace doppel::on_cpu {
namespace {

constexpr int64_t kGrain = 1 << 14;
constexpr int kNormParts = 64;

// Blocks stay in the first-level cache between the loops, each of which vectorises.
constexpr int64_t kBlock = 1024;

template <bool Belief, bool Dropout>
void update(const AdamRange& range, const AdamStep& step, const AdamOptions& o) {
  float *w = range.w, *m = range.m, *v = range.v, *average = range.average;
  const float* g = range.g;
  Bf16* copy = range.copy;
  parallel_for(range.count, kGrain, [=](int64_t begin, int64_t end) {
    [[maybe_unused]] float lr[Dropout ? kBlock : 1];
    for (int64_t block = begin; block < end; block += kBlock) {
      const int64_t stop = std::min(end, block + kBlock);
      if constexpr (Dropout) {
        Philox4 words{};
        for (int64_t i = block; i < stop; ++i) {
          if (i == block || i % 4 == 0) words = drawn_moves(step.seed, step.step, uint64_t(i / 4));
          lr[i - block] = is_moved(words.v[i % 4], o.moved) ? step.lr : 0;
        }
      }
#pragma omp simd
      for (int64_t i = block; i < stop; ++i) {
        const float rate = Dropout ? lr[i - block] : step.lr;
        if constexpr (Belief)
          adabelief_element(w[i], m[i], v[i], step.clip * g[i], rate, step.correction1, step.correction2, o);
        else
          adam_element(w[i], m[i], v[i], step.clip * g[i], rate, step.correction1, step.correction2, o);
      }
      if (average) {
#pragma omp simd
        for (int64_t i = block; i < stop; ++i) average[i] += step.keep * (w[i] - average[i]);
      }
      if (copy) {
#pragma omp simd
        for (int64_t i = block; i < stop; ++i) copy[i] = to_bf16(w[i]);
      }
    }
  });
}

}  // namespace

void adam(const AdamRange& range, const float* norm, const StepState* state, const AdamOptions& options, Stream) {
  const AdamStep step = adam_step(*state, norm, options);
  if (!step.taken) return;
  const bool dropout = options.moved < 1;
  const auto chosen = options.belief ? (dropout ? update<true, true> : update<true, false>)
                                     : (dropout ? update<false, true> : update<false, false>);
  chosen(range, step, options);
}

size_t global_norm_workspace(int64_t, Stream) {
  return 0;
}

void global_norm(float* norm, const float* g, int64_t count, void*, Stream) {
  double partial[kNormParts];
  parallel_for(kNormParts, 1, [&](int64_t part0, int64_t part1) {
    for (int64_t part = part0; part < part1; ++part) {
      // As many sums as keep an addition from waiting for the one before it.
      constexpr int kSums = 32;
      double sums[kSums] = {}, sum = 0;
      int64_t i = count * part / kNormParts;
      const int64_t end = count * (part + 1) / kNormParts;
      for (; i + kSums <= end; i += kSums) {
#pragma omp simd
        for (int j = 0; j < kSums; ++j) sums[j] += double(g[i + j]) * g[i + j];
      }
      for (; i < end; ++i) sum += double(g[i]) * g[i];
      for (const double s : sums) sum += s;
      partial[part] = sum;
    }
  });
  double sum = 0;
  for (double p : partial) sum += p;
  *norm = float(std::sqrt(sum));
}

void advance(StepState* state, Stream) {
  state->step += 1;
}

int64_t first_nonfinite(const void* x, int64_t count, DType type, Stream) {
  if (type == DType::bf16) {
    const auto* p = static_cast<const Bf16*>(x);
    for (int64_t i = 0; i < count; ++i)
      if ((p[i].bits & 0x7F80u) == 0x7F80u) return i;
  } else {
    const auto* p = static_cast<const float*>(x);
    for (int64_t i = 0; i < count; ++i)
      if ((std::bit_cast<uint32_t>(p[i]) & 0x7F800000u) == 0x7F800000u) return i;
  }
  return -1;
}

}  // namespace doppel::on_cpu
