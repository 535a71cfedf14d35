// How the products of a convolution by wgmma may be cut into tiles and parts (kernels/conv2d_wgmma.h).
#pragma once

#include "kernels/conv2d_mma_plan.h"

namespace doppel {

constexpr bool is_wgmma(KernelKind kernel) {
  return kernel >= KernelKind::wgmma_128x256 && kernel <= KernelKind::wgmma_128x256_pair;
}

// Blocks that run together on neighbouring tiles of the same columns.
constexpr int wgmma_cluster(KernelKind kernel) {
  return kernel == KernelKind::wgmma_128x256_pair ? 2 : 1;
}

// One tile's share of the sum is taken in steps of this many products.
constexpr int kWgmmaStep = 64;

// Of a block.
inline int wgmma_rows(KernelKind kernel) {
  return kernel == KernelKind::wgmma_256x128 ? 256 : 128;
}
inline int wgmma_columns(KernelKind kernel) {
  return kernel == KernelKind::wgmma_128x256 || kernel == KernelKind::wgmma_128x256_pair ? 256 : 128;
}

// All tiles, in parts worth a thought: none of fewer than 4 steps, and no more than fill a large card twice. No pair
// where all rows are one block's.
inline std::vector<KernelChoice> wgmma_choices(const Conv2d& v, Pass pass) {
  constexpr int64_t kLeastSteps = 4, kBlocks = 2 * 132;
  const MmaProduct p = mma_product(v, pass);
  std::vector<KernelChoice> all;
  for (const KernelKind kernel : {KernelKind::wgmma_128x256, KernelKind::wgmma_256x128, KernelKind::wgmma_128x128,
                                  KernelKind::wgmma_128x256_pair}) {
    const int64_t blocks = wgmma_cluster(kernel), rows = blocks * wgmma_rows(kernel), columns = wgmma_columns(kernel);
    if (blocks > 1 && p.m <= wgmma_rows(kernel)) continue;
    for (const int splits : kMmaSplits) {
      const int64_t tiles = blocks * ((p.m + rows - 1) / rows) * ((p.n + columns - 1) / columns) * p.products;
      const int64_t steps = p.steps * kMmaStep / kWgmmaStep;
      if (splits > 1 && (steps < splits * kLeastSteps || tiles * splits > kBlocks)) break;
      all.push_back({kernel, splits});
    }
  }
  return all;
}

}  // namespace doppel
