// Convolution and dense layers by cuDNN and cuBLASLt, behind the signatures of kernels/conv2d.h and kernels/dense.h,
// for Device::cuda. They are the oracle of the tests on a card, the yardstick of the benches, and can be chosen
// (Library::vendor, kernels/stream.h). Built when CMake finds their headers (DOPPEL_CUDNN); the libraries themselves
// are opened when first needed, so that the same program starts where they are not installed.
//
// What they lack is done around them: padding that is not symmetric by a padded copy, bias, activation and pixel
// shuffle by a pass of ours (kernels/finish.h). In bf16 cuDNN rounds z and dw to bf16, where our own kernels keep fp32.
//
// Algorithms are chosen by the libraries' heuristics, among those that give the same bits on every run.
#pragma once

#include <string>

#include "kernels/conv2d.h"
#include "kernels/dense.h"

namespace doppel {

// "" when both libraries can be used on this machine's card, else why not. In every build; the rest is not.
std::string vendor_problem();

namespace on_vendor {

// The libraries have no backward epilogue: our own serves both, and this includes its workspace.
decltype(::doppel::conv2d_workspace) conv2d_workspace;
decltype(::doppel::conv2d_fprop) conv2d_fprop;
decltype(::doppel::conv2d_dgrad) conv2d_dgrad;
decltype(::doppel::conv2d_wgrad) conv2d_wgrad;

decltype(::doppel::dense_workspace) dense_workspace;
decltype(::doppel::dense_fprop) dense_fprop;
decltype(::doppel::dense_dgrad) dense_dgrad;
decltype(::doppel::dense_wgrad) dense_wgrad;

}  // namespace on_vendor

}  // namespace doppel
