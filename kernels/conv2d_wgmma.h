// The convolution of kernels/conv2d.h in bf16 by the tensor cores of compute capability 9.0 alone ("wgmma") on operands
// that its copy engine brings: docs/kernels/conv2d_wgmma.md. Internal to kernels/; conv2d.cu offers it among the
// choices (kernels/kernel_choice.h) where it takes the shape. The model of time never picks it, timing may: `train`
// tries it by default (runtime/tuner.h).
#pragma once

#include "kernels/conv2d_mma.h"
#include "kernels/conv2d_wgmma_plan.h"

namespace doppel {

// What mma takes, with filters whose paddings and taps a tensor map can say (kernels/device/tma.h), and pictures that
// int counts with those of all groups. Channels that are no multiple of 64 are filled up with zeros: right, but not
// fast.
inline bool takes_wgmma(const Conv2d& v) {
  return takes_mma(v) && v.r <= 63 && v.s <= 63 && int64_t(v.groups) * v.n <= int64_t(1) << 30;
}

}  // namespace doppel

namespace doppel::DOPPEL_BACKEND {

// Whether the device runs wgmma: a card of compute capability 9.0, an emulator of sm_90.
bool has_wgmma();

// For shapes of which takes_wgmma() is true, where has_wgmma(), as conv.kernels says. All pointers must be multiples of
// 16 bytes, each group's, and the tiles of all groups and parts fewer than 2^30: std::invalid_argument if not.
// wgmma_workspace leaves backward_epilogue at 0.
ConvWorkspace wgmma_workspace(const Conv2d& conv, const Epilogue& epilogue);
size_t wgmma_fprop_workspace(const Conv2d& conv, const Epilogue& epilogue);
size_t wgmma_dgrad_workspace(const Conv2d& conv);
size_t wgmma_wgrad_workspace(const Conv2d& conv);
void wgmma_fprop(void* y, void* saved, const void* x, const void* w, const float* b, const Conv2d& conv,
                 const Epilogue& epilogue, void* workspace, Stream stream);
void wgmma_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream);
void wgmma_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream);

}  // namespace doppel::DOPPEL_BACKEND
