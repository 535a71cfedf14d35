// Convolution of any shape on the ordinary arithmetic units, in fp32 (operands of type fp32 or bf16): the version to
// read first, docs/kernels/conv2d_simt.md. Launchers as in kernels/conv2d.h. Private to kernels/conv2d*.cu and
// kernels/dense.cu.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/device/platform.h"

namespace doppel::DOPPEL_BACKEND {

// backward_epilogue is left 0: that is kernels/conv2d_epilogue.cu.
ConvWorkspace simt_workspace(const Conv2d& conv, const Epilogue& epilogue);

void simt_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                void* workspace, Stream stream);
void simt_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream);
void simt_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream);

// kernels/conv2d_simt_wgrad.cu
size_t simt_wgrad_workspace(const Conv2d& conv);

}  // namespace doppel::DOPPEL_BACKEND
