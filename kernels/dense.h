// Dense layer: y[n, k] = b[k] + sum over c of x[n, c] w[k, c].  x [N,C], w [K,C], b [K] fp32, y [N,K].
// x, w, y of type `type`; sums are fp32. Backward:  dx = dy w,  dw = dy^T x (fp32),  db[k] = sum over n of dy[n, k].
// Every launcher writes its outputs. Outputs must not overlap inputs. All sums have a fixed order that depends on the
// shapes and the chosen kernel alone.
//
// CPU: oneDNN's matrix products. CUDA and emulator: the 1 x 1 convolution of n pictures of one pixel, with what
// kernels/conv2d.h asks of pointers and sizes.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/kernel_choice.h"
#include "kernels/stream.h"

namespace doppel {

struct Dense {
  int n, c, k;
  DType type;
  KernelChoices kernels = {};

  double flops() const { return 2.0 * n * c * k; }
  bool operator==(const Dense&) const = default;
};

struct DenseWorkspace {
  size_t fprop = 0, dgrad = 0, wgrad = 0;
};
DenseWorkspace dense_workspace(const Dense& dense, Stream stream);

// As conv2d_choices().
std::vector<KernelChoice> dense_choices(const Dense& dense, Pass pass, Stream stream);

void dense_fprop(void* y, const void* x, const void* w, const float* b, const Dense& dense, void* workspace,
                 Stream stream);
void dense_dgrad(void* dx, const void* dy, const void* w, const Dense& dense, void* workspace, Stream stream);
void dense_wgrad(float* dw, float* db, const void* x, const void* dy, const Dense& dense, void* workspace,
                 Stream stream);

}  // namespace doppel
