// Which kernel computes one of the three products of a convolution or of a dense layer, where several can. A field of
// Conv2d and Dense: left alone, launchers choose by the shapes (kernels/conv2d.cu, kernels/conv2d_mma_plan.h); else
// they and the workspace sizes obey it. A choice sets the order of a sum, and with it its last bits.
//
// The CPU chooses by itself and does not look at it. On CUDA and on the emulator a kernel that does not take the shape
// is refused with std::invalid_argument; conv2d_choices() and dense_choices() list those that do.
#pragma once

namespace doppel {

enum class Pass { fprop, dgrad, wgrad };
constexpr const char* name_of(Pass pass) {
  return pass == Pass::fprop ? "fprop" : pass == Pass::dgrad ? "dgrad" : "wgrad";
}

enum class KernelKind : int {
  by_model,     // whatever the launcher thinks best
  simt,         // kernels/conv2d_simt*.cu: any shape
  ends,         // kernels/conv2d_ends*.cu: from or to at most 4 channels
  mma_128x128,  // kernels/conv2d_mma*.cu, by the results of a block: bf16, channels in multiples of 8
  mma_128x64,
  mma_64x64,
  wgmma_128x256,  // kernels/conv2d_wgmma*.cu: the same where the device is of compute capability 9.0
  wgmma_256x128,
  wgmma_128x128,
  wgmma_128x256_pair,  // the first of them by two blocks that share the columns' operand
  vendor,              // cuDNN or cuBLASLt (kernels/vendor.h), on Device::cuda
};
constexpr const char* kKernelNames[] = {
    "by_model",      "simt",          "ends",          "mma_128x128",        "mma_128x64", "mma_64x64",
    "wgmma_128x256", "wgmma_256x128", "wgmma_128x128", "wgmma_128x256_pair", "vendor"};
constexpr const char* name_of(KernelKind kernel) {
  return kKernelNames[int(kernel)];
}

constexpr int kMostSplits = 1024;

struct KernelChoice {
  KernelKind kernel = KernelKind::by_model;
  int splits = 1;     // simt, mma, wgmma: parts of each sum that blocks share, 1 .. kMostSplits; else 1
  int algorithm = 0;  // vendor: which of the library's (kernels/vendor.h), 0: the first that it proposes; else 0
  int shares = 0;     // wgmma's wgrad with splits 1: equal shares of all sums (conv2d_shares_plan.h); else 0
  bool operator==(const KernelChoice&) const = default;
};

struct KernelChoices {
  KernelChoice fprop, dgrad, wgrad;

  constexpr KernelChoice& operator[](Pass pass) {
    return pass == Pass::fprop ? fprop : pass == Pass::dgrad ? dgrad : wgrad;
  }
  constexpr const KernelChoice& operator[](Pass pass) const {
    return pass == Pass::fprop ? fprop : pass == Pass::dgrad ? dgrad : wgrad;
  }
  bool operator==(const KernelChoices&) const = default;
};

}  // namespace doppel
