// Convolution and dense layers by cuDNN and cuBLASLt, behind the signatures of kernels/conv2d.h and kernels/dense.h,
// for Device::cuda. They are the oracle of the tests on a card, the yardstick of the benches, and can be chosen
// (Library::vendor, kernels/stream.h). Built when CMake finds their headers (DOPPEL_CUDNN); the libraries themselves
// are opened when first needed, so that the same program starts where they are not installed.
//
// What they lack is done around them: padding that is not symmetric by a padded copy, bias, activation and pixel
// shuffle by a pass of ours (kernels/finish.h). In bf16 cuDNN rounds z and dw to bf16, where our own kernels keep fp32.
//
// Of the algorithms that a library proposes for a product, the best first by its own heuristics, those are taken that
// need no more workspace than is good (conv2d_plan.cc, dense.cc) and give the same bits on every run: cuDNN says which
// do, cuBLASLt promises it of all for one card and version. The first few can be chosen. KernelChoice::algorithm
// numbers them: cuDNN's convolutions by 1 + cudnnConvolution*Algo_t, cuBLASLt's products, which have no names, by their
// place in its list, from 1. Numbers hold for one version of the libraries.
#pragma once

#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/dense.h"

namespace doppel {

// Which of the libraries can be used on this machine's card: each may be there without the other.
struct VendorLibraries {
  struct One {
    std::string version;  // "cuDNN 91300"; empty where it cannot be used
    std::string problem;  // why not; empty where it can
  };
  One cudnn;     // the convolutions
  One cublaslt;  // the dense layers

  // "cuDNN 91300, cuBLASLt 130002", of those that can be used.
  std::string versions() const;
  // For people: what can be used, and what is left out and why.
  std::vector<std::string> lines() const;
};
// Found out by the first call. In every build; what on_vendor has is not.
const VendorLibraries& vendor_libraries();

namespace on_vendor {

// kernels[pass] of the layer says which algorithm, where it says KernelKind::vendor. Of a pass without an algorithm
// conv2d_workspace() says 0, and the launcher throws std::runtime_error; an algorithm that is not on the list is
// refused with std::invalid_argument. One group at a time. Where vendor_libraries() lacks the library there is no
// choice, and all else throws std::runtime_error that says why.
//
// The libraries have no backward epilogue: our own serves both, and this includes its workspace.
decltype(::doppel::conv2d_workspace) conv2d_workspace;
decltype(::doppel::conv2d_choices) conv2d_choices;
decltype(::doppel::conv2d_fprop) conv2d_fprop;
decltype(::doppel::conv2d_dgrad) conv2d_dgrad;
decltype(::doppel::conv2d_wgrad) conv2d_wgrad;

decltype(::doppel::dense_workspace) dense_workspace;
decltype(::doppel::dense_choices) dense_choices;
decltype(::doppel::dense_fprop) dense_fprop;
decltype(::doppel::dense_dgrad) dense_dgrad;
decltype(::doppel::dense_wgrad) dense_wgrad;

// For the benches, what cuBLASLt does by itself at its best: y [N,K] = x [N,C] w [K,C]^T, rounded to dense.type, with
// no bias and no pass of ours around it. All pointers at multiples of 256 bytes; `workspace` of
// dense_product_workspace() bytes. dense.kernels.fprop chooses, of dense_product_choices(); errors as above.
size_t dense_product_workspace();
std::vector<KernelChoice> dense_product_choices(const Dense& dense);
void dense_product(void* y, const void* x, const void* w, const Dense& dense, void* workspace, Stream stream);

}  // namespace on_vendor

}  // namespace doppel
