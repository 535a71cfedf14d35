// Sums that several blocks share: each block leaves the sum of its part ("split") in fp32, and a second kernel adds the
// splits, first to last. Workspaces are 64-byte aligned (kernels/conv2d.h). Private to kernels/conv2d*.cu and
// kernels/dense.cu.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/device/platform.h"

namespace doppel::DOPPEL_BACKEND {

// out[i] = the sum over s of partial[s * count + i], rounded to `type`. Groups: each its `splits` in turn, and its out
// `stride` elements behind that of the group before.
void add_splits(void* out, DType type, const float* partial, int64_t count, int splits, int groups, int64_t stride,
                Stream stream);

// The same for z, partial[group][split][N,P,Q,K], followed by bias and epilogue; `saved` as conv2d_fprop's.
void finish_splits(void* y, void* saved, const float* partial, const float* b, const Conv2d& conv,
                   const Epilogue& epilogue, int splits, Stream stream);

}  // namespace doppel::DOPPEL_BACKEND
