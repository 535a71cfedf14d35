// Convolution from or to at most 4 channels, the first and the last layer of a model, which would leave most of a tile
// of any other kernel unused: docs/kernels/conv2d_simt.md. Launchers as in kernels/conv2d.h, for the shapes that
// takes_ends_* says. Private to kernels/conv2d*.cu.
//
//   fprop from 4 channels, dgrad to 4    conv2d_ends_few_inputs.cu, bf16 (fp32: conv2d_simt*.cu)
//   wgrad of both                        conv2d_ends_few_inputs_wgrad.cu, bf16 (the same)
//   fprop to 4                           conv2d_ends_few_outputs.cu, bf16; conv2d_ends.cu, fp32 and other bf16
//
// conv2d_ends_few_outputs.cu takes C <= 256, C % 8 == 0, S K <= 16, R of 1, 3 or 5, and x and w at multiples of 16
// bytes, each group's; conv2d_ends.cu the rest, in fp32 arithmetic.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/device/platform.h"

namespace doppel::DOPPEL_BACKEND {

bool takes_ends_fprop(const Conv2d& conv);
bool takes_ends_dgrad(const Conv2d& conv);
bool takes_ends_wgrad(const Conv2d& conv);

// backward_epilogue is left 0; fprop and dgrad need none.
ConvWorkspace ends_workspace(const Conv2d& conv, const Epilogue& epilogue);

void ends_fprop(void* y, void* saved, const void* x, const void* w, const float* b, const Conv2d& conv,
                const Epilogue& epilogue, void* workspace, Stream stream);
void ends_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream);
void ends_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream);

}  // namespace doppel::DOPPEL_BACKEND
