// Adam (Kingma and Ba 2015, algorithm 1) over one contiguous range: all parameters of a model at once.
//
//   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
//   w = w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
//   average = average + (1 - decay_t) (w - average)
//
// A step whose gradient's norm is given and not usable (is_usable() below: NaN, infinite or beyond what v can hold the
// square of) changes nothing: one such gradient, of an overflow in bf16 say, would otherwise be in all weights for
// good.
//
// g is the gradient times the clip factor min(1, clip_norm / |g|) when clip_norm > 0. The average (Polyak and Juditsky
// 1992) is what previews and swaps use; decay_t = min(ema_decay, (1 + t) / (10 + t)) forgets the start quickly.
//
// Two options, both off from the start:
//
// AdaBelief (Zhuang et al. 2020, "AdaBelief optimizer", algorithm 2): v follows how far the gradient is from its mean,
//   v = beta2 v + (1 - beta2) (g - m)^2 + eps
// with the new m. eps adds up, so it should be far below Adam's; Zhuang et al. use 1e-8 to 1e-16.
//
// Learning-rate dropout (Lin et al. 2019, "Learning rate dropout"): in each step each weight is moved with the
// probability `moved` and else left as it is; m and v of all weights follow the gradient. Who is moved is drawn by
// Philox with the key `seed` (and a constant) and the counter (step, element), the same on every backend.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/both.h"
#include "kernels/dtype.h"
#include "kernels/philox.h"
#include "kernels/stream.h"

namespace doppel {

struct AdamOptions {
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float eps = 1e-7f;
  float ema_decay = 0;  // 0: no average is kept
  float clip_norm = 0;  // 0: no clipping
  bool belief = false;  // AdaBelief's v
  float moved = 1;      // 0..1, learning-rate dropout: the part of the weights that a step moves; 1: all of them
};

// What changes from step to step; lives in device memory and is advanced there.
struct StepState {
  uint64_t seed = 0;
  uint64_t step = 0;  // steps done
  float lr = 0;
  float reserved = 0;
};

struct AdamRange {
  float* w;        // [count] master weights, updated
  float* m;        // [count] updated
  float* v;        // [count] updated
  const float* g;  // [count]
  float* average;  // [count] updated, or null
  Bf16* copy;      // [count] written, if the step changes anything: w rounded to bf16; or null
  int64_t count;
};

// One element; t = step + 1 >= 1 is folded into the two corrections 1 / (1 - beta^t).
DOPPEL_BOTH inline void adam_element(float& w, float& m, float& v, float g, float lr, float correction1,
                                     float correction2, const AdamOptions& o) {
  m = o.beta1 * m + (1 - o.beta1) * g;
  v = o.beta2 * v + (1 - o.beta2) * g * g;
  w -= lr * (m * correction1) / (std::sqrt(v * correction2) + o.eps);
}

// The same with AdaBelief's v.
DOPPEL_BOTH inline void adabelief_element(float& w, float& m, float& v, float g, float lr, float correction1,
                                          float correction2, const AdamOptions& o) {
  m = o.beta1 * m + (1 - o.beta1) * g;
  const float surprise = g - m;
  v = o.beta2 * v + (1 - o.beta2) * surprise * surprise + o.eps;
  w -= lr * (m * correction1) / (std::sqrt(v * correction2) + o.eps);
}

// Learning-rate dropout: element i is moved when word i % 4 of drawn_moves(.., i / 4) says so. The constant keeps these
// words apart from those that the samples of the same seed and step are drawn from.
DOPPEL_BOTH inline Philox4 drawn_moves(uint64_t seed, uint64_t step, uint64_t four) {
  return philox4x32(seed ^ 0xD1CEB0A7D0D0CAFEull, step, four);
}
DOPPEL_BOTH inline bool is_moved(uint32_t word, float moved) {
  return float(word >> 8) * 0x1p-24f < moved;
}

// Whether a step is taken along a gradient of this norm.
DOPPEL_BOTH inline bool is_usable(float norm) {
  return norm * norm <= 0x1.fffffep127f;
}

// What is the same for all elements of a step.
struct AdamStep {
  float correction1, correction2;  // 1 / (1 - beta^t)
  float clip;                      // factor of the gradient
  float keep;                      // 1 - decay_t
  float lr;
  uint64_t seed, step;
  bool taken;
};

// `norm`: the gradient's; null when there is no clipping: every step is taken.
DOPPEL_BOTH inline AdamStep adam_step(const StepState& state, const float* norm, const AdamOptions& o) {
  const double t = double(state.step) + 1, decay = (1 + t) / (10 + t);
  return {float(1 / (1 - std::pow(double(o.beta1), t))),
          float(1 / (1 - std::pow(double(o.beta2), t))),
          o.clip_norm > 0 && *norm > o.clip_norm ? o.clip_norm / *norm : 1,
          float(1 - (decay < double(o.ema_decay) ? decay : double(o.ema_decay))),
          state.lr,
          state.seed,
          state.step,
          !norm || is_usable(*norm)};
}

// Uses state->lr, state->step (not advanced) and, with dropout, state->seed. `norm` [1]: the global norm of g; without
// clipping it may be null, and every step is taken.
void adam(const AdamRange& range, const float* norm, const StepState* state, const AdamOptions& options, Stream stream);

// norm[0] = sqrt(sum g^2), summed in double over fixed ranges in a fixed order. `workspace`: 64-byte aligned.
size_t global_norm_workspace(int64_t count, Stream stream);  // bytes
void global_norm(float* norm, const float* g, int64_t count, void* workspace, Stream stream);

// state->step += 1.
void advance(StepState* state, Stream stream);

// The first index of a value that is NaN or infinite, or -1. Any type but u8. Waits for the stream.
int64_t first_nonfinite(const void* x, int64_t count, DType type, Stream stream);

}  // namespace doppel
