// Which sources the kernels of convolution and dense layers were made of: times that were measured with others are
// stale.
#pragma once

namespace doppel {

// A hash of those sources in hexadecimal, from the build (cmake/kernel_generation.cmake).
const char* kernel_generation();

}  // namespace doppel
