// The ends on tensor cores, bf16: private to kernels/conv2d_ends*.cu, whose launchers choose them.
#pragma once

#include "kernels/conv2d_ends_plan.h"
#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {

// ---- from at most 4 channels (conv2d_ends_few_inputs*.cu) -----------------------------------------------------------

// y = f(x w + b), b null: none. `mirrored_weights`: w is that of the convolution whose mirror conv is, [C, R, S, K]
// with R and S reversed.
void few_inputs_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv,
                      const Epilogue& epilogue, bool mirrored_weights, Stream stream);
size_t few_inputs_wgrad_workspace(const Conv2d& conv);
// `mirrored`: dw is that of the convolution whose mirror conv is, [C, R, S, K] with R and S reversed.
void few_inputs_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, bool mirrored, void* workspace,
                      Stream stream);

// ---- to at most 4 channels (conv2d_ends_few_outputs.cu) -------------------------------------------------------------

// Also asks for 16-byte aligned pointers.
bool takes_few_outputs(const Conv2d& conv, const void* x, const void* w);
void few_outputs_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv,
                       const Epilogue& epilogue, Stream stream);

}  // namespace doppel::DOPPEL_BACKEND
