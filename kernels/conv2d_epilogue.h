// The backward epilogue's kernels, launched as conv2d_backward_epilogue of kernels/conv2d.h; private to
// kernels/conv2d*.cu.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/device/platform.h"

namespace doppel::DOPPEL_BACKEND {

size_t epilogue_workspace(const Conv2d& conv);
void launch_backward_epilogue(void* dz, float* db, const void* dy, const void* saved, const Conv2d& conv,
                              const Epilogue& epilogue, void* workspace, Stream stream);

}  // namespace doppel::DOPPEL_BACKEND
