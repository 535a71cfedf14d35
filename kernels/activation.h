// Activations: the per-element formulas, written once for every backend, and launchers for those that no convolution
// carried along.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/both.h"
#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel {

enum class Activation : int { none, leaky_relu, sigmoid, x_cos_x };

constexpr const char* name_of(Activation f) {
  return f == Activation::none         ? "none"
         : f == Activation::leaky_relu ? "leaky_relu"
         : f == Activation::sigmoid    ? "sigmoid"
                                       : "x_cos_x";
}

// Whether f' is to be had from the input z only, and not from the output: z cos z is not monotonic.
DOPPEL_BOTH inline bool saves_input(Activation f) {
  return f == Activation::x_cos_x;
}

struct CosSin {
  float cos, sin;
};
// Both within 3 * 2^-24 for |x| <= 2^20: three units in the last place of numbers just below 1, and more of their own
// where they are smaller; up to |x| = 1 within one unit of their own. The sine of -0 is 0. Beyond 2^20, where
// neighbouring floats are an eighth of a radian and more apart, some number between -1 and 1, or 3 * 2^-24 more. What
// is not finite gives NaN. CUDA's own take a path through local memory for large x, which no kernel of a convolution
// shall have, so these are ours: x = k pi + r with pi in two parts (Cody and Waite, "Software Manual for the Elementary
// Functions", 1980, ch. 8) and Taylor's polynomials for |r| <= pi/2, whose first terms left out are below 2^-27.
DOPPEL_BOTH inline CosSin cos_sin(float x) {
  const float k = std::rint(x * 0x1.45f306p-2f);                                  // 1/pi
  const float r = std::fma(k, 0x1.777a5cp-24f, std::fma(-k, 0x1.921fb6p+1f, x));  // pi = 0x1.921fb6p+1 - 0x1.777a5cp-24
  // No more than pi/2 but for huge x, of which no multiple of pi can be taken.
  const float a = r > 2 ? 2 : r < -2 ? -2 : r;
  const float q = a * a, half = 0.5f * k, sign = half == std::floor(half) ? 1.0f : -1.0f;
  const float c = std::fma(
      std::fma(std::fma(std::fma(std::fma(1 / 479001600.0f, q, -1 / 3628800.0f), q, 1 / 40320.0f), q, -1 / 720.0f), q,
               1 / 24.0f),
      q, -0.5f);
  const float s = std::fma(
      std::fma(std::fma(std::fma(std::fma(1 / 6227020800.0f, q, -1 / 39916800.0f), q, 1 / 362880.0f), q, -1 / 5040.0f),
               q, 1 / 120.0f),
      q, -1 / 6.0f);
  return {sign * std::fma(c, q, 1.0f), sign * std::fma(s * q, a, a)};
}

// y = f(z). `slope` is the factor of negative inputs of the leaky ReLU (Maas, Hannun, Ng 2013), 0 < slope < 1.
DOPPEL_BOTH inline float activate(Activation f, float z, float slope) {
  if (f == Activation::leaky_relu) return z > 0 ? z : slope * z;
  if (f == Activation::sigmoid) return 1 / (1 + std::exp(-z));
  if (f == Activation::x_cos_x) return z * cos_sin(z).cos;
  return z;
}

// f'(z) from what is saved. That is the output y = f(z): sign(y) = sign(z) as the slope is positive; for the sigmoid
// f' = y (1 - y). Of z cos z it is z: f' = cos z - z sin z.
DOPPEL_BOTH inline float activation_derivative(Activation f, float saved, float slope) {
  if (f == Activation::leaky_relu) return saved > 0 ? 1 : slope;
  if (f == Activation::sigmoid) return saved * (1 - saved);
  if (f == Activation::x_cos_x) {
    const CosSin a = cos_sin(saved);
    return a.cos - saved * a.sin;
  }
  return 1;
}

// y[i] = f(x[i]); x and y of type `type`, `count` elements; y may be x, unless saves_input(f) and a backward pass is to
// follow.
void activation_forward(void* y, const void* x, int64_t count, DType type, Activation f, float slope, Stream stream);

// dx[i] = dy[i] f'(saved[i]), saved being y, or x where saves_input(f); all of type `type`; dx may be dy or saved.
// Writes dx.
void activation_backward(void* dx, const void* dy, const void* saved, int64_t count, DType type, Activation f,
                         float slope, Stream stream);

// y = f(a + b): the end of a residual block. All of type `type`; y may be a or b. a + b is not kept: no backward pass
// follows where saves_input(f).
void add_activation_forward(void* y, const void* a, const void* b, int64_t count, DType type, Activation f, float slope,
                            Stream stream);

// y += x: the second and later writers of a gradient. Both of type `type`.
void accumulate(void* y, const void* x, int64_t count, DType type, Stream stream);

// y[i] = x[i] rounded to bf16.
void cast_to_bf16(Bf16* y, const float* x, int64_t count, Stream stream);

}  // namespace doppel
