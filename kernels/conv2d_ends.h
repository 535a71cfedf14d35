// Convolution to at most 4 channels: a decoder's last layer, whose 3 outputs would leave most of a tile of 64 unused.
// docs/kernels/conv2d_simt.md. Launchers as in kernels/conv2d.h, for the shapes that takes_ends_* says. The other ends,
// from 3 channels (first layer's fprop, last layer's dgrad), lie well in conv2d_simt.cu's tiles. Private to
// kernels/conv2d*.cu.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/device/platform.h"

namespace doppel::DOPPEL_BACKEND {

bool takes_ends_fprop(const Conv2d& conv);
bool takes_ends_wgrad(const Conv2d& conv);

// dgrad and backward_epilogue are left 0; fprop needs none.
ConvWorkspace ends_workspace(const Conv2d& conv, const Epilogue& epilogue);

void ends_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                void* workspace, Stream stream);
void ends_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream);

}  // namespace doppel::DOPPEL_BACKEND
