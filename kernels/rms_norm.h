// RMS normalisation without a gain (Zhang and Sennrich 2019, "Root mean square layer normalization", equation 4; a gain
// would be absorbed by the weights of the layer behind it). Each row of x [rows, width] is divided by its root mean
// square:
//
//   r = 1 / sqrt(mean(x^2) + eps),   y = r x
//
// The latent [N, C] has a row for each sample; [N,H,W,C] with rows = N H W normalises each pixel over its channels,
// which is what Karras et al. 2018 ("Progressive growing of GANs", section 4.2) call pixel norm. Sums are fp32, in a
// fixed order.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/both.h"
#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel {

struct RmsNorm {
  int64_t rows;
  int width;  // at least 1
  DType type;
  float eps = 1e-6f;  // > 0: a row of zeros stays one
};

// r of a row from the sum of its squares.
DOPPEL_BOTH inline float inverse_rms(float squares, const RmsNorm& n) {
  return 1 / std::sqrt(squares / float(n.width) + n.eps);
}

// y from x; y may be x.
void rms_norm_forward(void* y, const void* x, const RmsNorm& norm, Stream stream);

// dx = r (dy - y mean(dy y)) = r (dy - x r^2 mean(dy x)) with r from x: the derivative of r is -r^3 x / width.
// Writes dx; dx may be dy or x.
void rms_norm_backward(void* dx, const void* dy, const void* x, const RmsNorm& norm, Stream stream);

}  // namespace doppel
