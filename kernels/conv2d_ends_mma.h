// The ends on tensor cores, bf16: private to kernels/conv2d_ends*.cu, whose launchers choose them.
#pragma once

#include "kernels/conv2d_ends_plan.h"
#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {

// ---- from at most 4 channels (conv2d_ends_few_inputs*.cu)
// ------------------------------------------------------------

// y = f(x w + b), b null: none. `mirrored_weights`: w is that of the convolution whose mirror conv is, [C, R, S, K]
// with R and S reversed.
void few_inputs_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv,
                      const Epilogue& epilogue, bool mirrored_weights, Stream stream);
size_t few_inputs_wgrad_workspace(const Conv2d& conv);
void few_inputs_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream);

// ---- to at most 4 channels (conv2d_ends_few_outputs.cu) -------------------------------------------------------------

// Also asks for 16-byte aligned pointers.
bool takes_few_outputs(const Conv2d& conv, const void* x, const void* w);
void few_outputs_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv,
                       const Epilogue& epilogue, Stream stream);

// ---- fragments ------------------------------------------------------------------------------------------------------

// A row of a tile in shared memory is a multiple of 16 elements and 8 more: the 8 rows that ldmatrix reads together
// then lie in different banks.
constexpr int kRowPadding = 8;

// Row-major operand: the [16, 16] of A at `tile`, or (as [n, k]) the [16, 16] of B, two fragments of 8 columns. The
// matrices come as (rows 0-7, first 8), (rows 8-15, first 8), (rows 0-7, second 8), (rows 8-15, second 8).
__device__ __forceinline__ void load_fragment(uint32_t (&r)[4], const Bf16* tile, int pitch) {
  ldmatrix<4>(r, tile + lane() % 16 * pitch + lane() / 16 * 8);
}
// The same of an operand that lies with rows and columns changed: `tile` is [16 of the depth, 16 rows].
__device__ __forceinline__ void load_transposed_fragment(uint32_t (&r)[4], const Bf16* tile, int pitch) {
  ldmatrix<4, true>(r, tile + (lane() / 16 * 8 + lane() % 8) * pitch + lane() / 8 % 2 * 8);
}
// sums += a b for two fragments of 8 columns that load_*fragment read together.
__device__ __forceinline__ void multiply_pair(float (&first)[4], float (&second)[4], const uint32_t (&a)[4],
                                              const uint32_t (&b)[4]) {
  const uint32_t b0[2] = {b[0], b[2]}, b1[2] = {b[1], b[3]};
  mma_m16n8k16_bf16(first, a, b0, first);
  mma_m16n8k16_bf16(second, a, b1, second);
}

}  // namespace doppel::DOPPEL_BACKEND
