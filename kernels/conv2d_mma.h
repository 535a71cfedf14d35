// The convolution of kernels/conv2d.h in bf16 on tensor cores, as implicit matrix products: docs/kernels/conv2d.md.
// Internal to kernels/; conv2d.cu and dense.cu choose it where it takes the shape.
#pragma once

#include <cstdint>

#include "kernels/conv2d.h"
#include "kernels/device/platform.h"

namespace doppel {

// bf16 operands whose channels come in units of 16 bytes, and tensors of which 32 bits can index each element and those
// that a tile or a tap looks beyond the ends.
inline bool takes_mma(const Conv2d& v) {
  constexpr int64_t kMost = int64_t(1) << 30, kTile = 128;
  const auto fits = [&](int64_t height, int64_t width, int64_t channels) {
    return (v.n * height + v.r + kTile) * (width + v.s) * channels <= kMost;
  };
  return v.type == DType::bf16 && v.c % 8 == 0 && v.k % 8 == 0 && (v.k + kTile) * v.r * v.s * v.c <= kMost &&
         fits(v.h, v.w, v.c) && fits(v.out_h(), v.out_w(), v.k);
}

}  // namespace doppel

namespace doppel::DOPPEL_BACKEND {

// For shapes of which takes_mma() is true. All pointers must be multiples of 16 bytes: std::invalid_argument if not.
// mma_workspace leaves backward_epilogue at 0.
ConvWorkspace mma_workspace(const Conv2d& conv, const Epilogue& epilogue);
size_t mma_fprop_workspace(const Conv2d& conv, const Epilogue& epilogue);
size_t mma_dgrad_workspace(const Conv2d& conv);
size_t mma_wgrad_workspace(const Conv2d& conv);
void mma_fprop(void* y, void* saved, const void* x, const void* w, const float* b, const Conv2d& conv,
               const Epilogue& epilogue, void* workspace, Stream stream);
void mma_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream);
void mma_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream);

}  // namespace doppel::DOPPEL_BACKEND
