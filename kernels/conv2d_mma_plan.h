// How a product of matrices on tensor cores is cut into blocks: which tile, and into how many parts along the sum. A
// function of the shapes alone, never of the card: the order of a sum, and with it its bits, is the same everywhere.
#pragma once

#include <algorithm>
#include <cstdint>

namespace doppel {

// Rows x columns of the result that one block computes: 128 x 128, 128 x 64, 64 x 64.
enum class MmaTile : int { large, tall, small };

struct MmaTileSize {
  int m, n, warps;
};
constexpr MmaTileSize kMmaTiles[] = {{128, 128, 8}, {128, 64, 4}, {64, 64, 4}};

struct MmaPlan {
  MmaTile tile = MmaTile::large;
  int splits = 1;  // parts of the sum; more than one means fp32 partial results and a second kernel that adds them
};

// One tile's share of the sum is taken in steps of this many products.
constexpr int kMmaStep = 32;

// For tests: what mma_plan answers while `forced`, so that a small shape can run each tile and each kind of split.
struct MmaForce {
  bool forced = false;
  MmaPlan plan;
};
inline MmaForce mma_force;

// The plan of `products` products (the phases of a dgrad; otherwise 1) of m x n results, each a sum of `steps` steps.
//
// The model, in units of the time that the large tile takes per result and step with all of the card busy: small tiles
// read shared memory more often per product; a block spends some 4 steps to fill its pipeline and to store; a card of
// about 128 multiprocessors wants 12 warps on each; a partial result costs about 10 steps' time to write and to read.
inline MmaPlan mma_plan(int64_t m, int64_t n, int64_t steps, int64_t products = 1) {
  if (mma_force.forced) return mma_force.plan;
  constexpr double kSlowness[] = {1, 1.1, 1.3}, kStart = 4, kWarps = 128 * 12, kPartial = 10;
  constexpr int kSplits[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
  constexpr int64_t kLeastSteps = 8;  // of a part
  MmaPlan best;
  double least = 0;
  for (int t = 0; t < 3; ++t) {
    const MmaTileSize& size = kMmaTiles[t];
    const int64_t tiles = ((m + size.m - 1) / size.m) * ((n + size.n - 1) / size.n) * products;
    const double results = double(tiles) * size.m * size.n;
    for (const int splits : kSplits) {
      if (splits > 1 && steps < splits * kLeastSteps) break;
      const double idle = std::max(1.0, kWarps / (double(tiles) * splits * size.warps));
      const double partials = splits > 1 ? kPartial * splits : 0;
      const double cost = results * (kSlowness[t] * idle * (double(steps) + kStart * splits) + partials);
      if (least == 0 || cost < least) least = cost, best = {MmaTile(t), splits};
    }
  }
  return best;
}

}  // namespace doppel
