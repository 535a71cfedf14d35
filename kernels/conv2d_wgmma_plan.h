// How the products of a convolution by wgmma may be cut into tiles and parts (kernels/conv2d_wgmma.h).
#pragma once

#include "kernels/conv2d_mma_plan.h"
#include "kernels/conv2d_shares_plan.h"

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

// Of a tile, a pair's being one.
inline int wgmma_rows(KernelKind kernel) {
  return kernel == KernelKind::wgmma_256x128 || kernel == KernelKind::wgmma_128x256_pair ? 256 : 128;
}
inline int wgmma_columns(KernelKind kernel) {
  return kernel == KernelKind::wgmma_128x256 || kernel == KernelKind::wgmma_128x256_pair ? 256 : 128;
}

// The tiles of a wgrad, whose columns are filled up to 64 channels a tap, and the steps of each.
inline int64_t wgmma_wgrad_tiles(const Conv2d& v, KernelKind kernel) {
  const int64_t rows = wgmma_rows(kernel), units = int64_t(v.r) * v.s * ((v.c + 63) / 64);
  const int64_t of_tile = wgmma_columns(kernel) / 64;
  return (v.k + rows - 1) / rows * ((units + of_tile - 1) / of_tile) * v.groups;
}
inline int wgmma_wgrad_steps(const Conv2d& v) {
  return int((v.out_pixels() + kWgmmaStep - 1) / kWgmmaStep);
}
inline Shares wgmma_shares(const Conv2d& v, const KernelChoice& choice) {
  return shares_of(wgmma_wgrad_tiles(v, choice.kernel), wgmma_wgrad_steps(v), choice.shares);
}

// All tiles, in parts worth a thought: none of fewer than 4 steps, and no more than fill a large card twice; a wgrad
// also in as many equal shares as the device has multiprocessors, or pairs of them, where that cuts a tile. No pair
// where all rows are one block's.
inline std::vector<KernelChoice> wgmma_choices(const Conv2d& v, Pass pass, int multiprocessors) {
  constexpr int64_t kLeastSteps = 4, kBlocks = 2 * 132;
  const MmaProduct p = mma_product(v, pass);
  std::vector<KernelChoice> all;
  for (const KernelKind kernel : {KernelKind::wgmma_128x256, KernelKind::wgmma_256x128, KernelKind::wgmma_128x128,
                                  KernelKind::wgmma_128x256_pair}) {
    const int64_t blocks = wgmma_cluster(kernel), rows = wgmma_rows(kernel), columns = wgmma_columns(kernel);
    if (blocks > 1 && p.m <= rows / blocks) continue;
    for (const int splits : kMmaSplits) {
      const int64_t tiles = blocks * ((p.m + rows - 1) / rows) * ((p.n + columns - 1) / columns) * p.products;
      const int64_t steps = p.steps * kMmaStep / kWgmmaStep;
      if (splits > 1 && (steps < splits * kLeastSteps || tiles * splits > kBlocks)) break;
      all.push_back({kernel, splits});
    }
    const int shares = std::max(multiprocessors / int(blocks), 1);
    if (pass != Pass::wgrad || shares > kMostSplits ||
        !shares_fit(wgmma_wgrad_tiles(v, kernel), wgmma_wgrad_steps(v), shares))
      continue;
    const KernelChoice dealt{kernel, 1, 0, shares};
    if (const Shares s = wgmma_shares(v, dealt); s.count > s.cut) all.push_back(dealt);
  }
  return all;
}

}  // namespace doppel
