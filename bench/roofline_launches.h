// The kernels that are not worked out tile by tile in bench/roofline.cc, from and to few channels (`ends`) and in fp32
// arithmetic (`simt`): what their launchers launch, asked of them, and how much that computes and issues.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/conv2d.h"

namespace doppel::bench {

struct KernelLaunch {
  std::string kernel;  // as the compiler writes it: "gather_kernel<Bf16, true>"
  int64_t blocks = 0;
  int threads = 0, shared = 0;  // of a block; bytes of dynamic shared memory
};
// What a pass of `conv` by this kernel launches on Device::emulator, in order; nothing is computed. The first does the
// work, the others add parts and turn a result over.
std::vector<KernelLaunch> launches_of(const Conv2d& conv, Pass pass, const KernelChoice& kernel);

struct KernelWork {
  bool tensor_cores = false;
  double flops = 0;         // of a block, with all that is padding; on tensor cores or in fp32 arithmetic
  double instructions = 0;  // of a warp
  double cache_bytes = 0;   // of a block, from the L2 cache to shared memory; simt alone, else 0
};
// Of the first of these. Throws std::invalid_argument for a kernel that it does not know.
KernelWork work_of(const Conv2d& conv, Pass pass, const KernelChoice& kernel, const KernelLaunch& launch);

}  // namespace doppel::bench
