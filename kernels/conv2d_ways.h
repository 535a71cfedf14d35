// The two ways the CPU multiplies a convolution; private to kernels/conv2d_*cpu.cc.
//
// direct:  oneDNN's convolutions, in a build that has oneDNN. Fast where pictures are large; weights want a reorder to
//          oneDNN's own layout.
// product: rows of x gathered into a matrix [N P Q, R S C], and one matrix product on weights as they lie. Fast where
//          pictures are small and weights many (oneDNN's wgrad reaches a tenth of its speed there), and for 3 channels.
//
// Each works on z (after bias and activation, before the pixel shuffle) and says its scratch memory first.
#pragma once

#include "kernels/conv2d.h"

namespace doppel::direct {

size_t fprop_workspace(const Conv2d& conv, const Epilogue& epilogue);
size_t dgrad_workspace(const Conv2d& conv);
size_t wgrad_workspace(const Conv2d& conv);
void fprop(void* z, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
           void* workspace);
void dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace);
void wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace);

}  // namespace doppel::direct

namespace doppel::product {

size_t fprop_workspace(const Conv2d& conv, const Epilogue& epilogue);
size_t dgrad_workspace(const Conv2d& conv);
size_t wgrad_workspace(const Conv2d& conv);
void fprop(void* z, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
           void* workspace);
void dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace);
void wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace);

}  // namespace doppel::product
