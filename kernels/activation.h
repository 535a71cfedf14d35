// Activations: the per-element formulas, written once for every backend, and launchers for those that no convolution
// carried along.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/both.h"
#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel {

enum class Activation : int { none, leaky_relu, sigmoid };

// y = f(z). `slope` is the factor of negative inputs of the leaky ReLU (Maas, Hannun, Ng 2013), 0 < slope < 1.
DOPPEL_BOTH inline float activate(Activation f, float z, float slope) {
  if (f == Activation::leaky_relu) return z > 0 ? z : slope * z;
  if (f == Activation::sigmoid) return 1 / (1 + std::exp(-z));
  return z;
}

// f'(z) from the saved output y = f(z): sign(y) = sign(z) as the slope is positive; for the sigmoid f' = y (1 - y).
DOPPEL_BOTH inline float activation_derivative(Activation f, float y, float slope) {
  if (f == Activation::leaky_relu) return y > 0 ? 1 : slope;
  if (f == Activation::sigmoid) return y * (1 - y);
  return 1;
}

// x cos x, which is not monotonic: its derivative cannot be had from its output, so it is no Activation and no
// convolution carries it along. It has launchers of its own, x_cos_x_forward and x_cos_x_backward.
DOPPEL_BOTH inline float x_cos_x(float x) {
  return x * std::cos(x);
}
DOPPEL_BOTH inline float x_cos_x_derivative(float x) {
  return std::cos(x) - x * std::sin(x);
}

// y[i] = f(x[i]); x and y of type `type`, `count` elements; y may be x.
void activation_forward(void* y, const void* x, int64_t count, DType type, Activation f, float slope, Stream stream);

// dx[i] = dy[i] f'(y[i]); all of type `type`; dx may be dy. Writes dx.
void activation_backward(void* dx, const void* dy, const void* y, int64_t count, DType type, Activation f, float slope,
                         Stream stream);

// y[i] = x[i] cos x[i]; both of type `type`; y may be x, but the backward pass needs x.
void x_cos_x_forward(void* y, const void* x, int64_t count, DType type, Stream stream);

// dx[i] = dy[i] (cos x[i] - x[i] sin x[i]); all of type `type`; dx may be dy or x. Writes dx.
void x_cos_x_backward(void* dx, const void* dy, const void* x, int64_t count, DType type, Stream stream);

// y = f(a + b): the end of a residual block. All of type `type`; y may be a or b.
void add_activation_forward(void* y, const void* a, const void* b, int64_t count, DType type, Activation f, float slope,
                            Stream stream);

// y += x: the second and later writers of a gradient. Both of type `type`.
void accumulate(void* y, const void* x, int64_t count, DType type, Stream stream);

// y[i] = x[i] rounded to bf16.
void cast_to_bf16(Bf16* y, const float* x, int64_t count, Stream stream);

}  // namespace doppel
