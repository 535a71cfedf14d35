// How a product of matrices on tensor cores is cut into blocks: which tile, and into how many parts along the sum. A
// function of the shapes and of what was chosen (kernels/kernel_choice.h) alone, never of the card: the order of a sum,
// and with it its bits, is the same everywhere.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/conv2d.h"

namespace doppel {

// Rows x columns of the result that one block computes: 128 x 128, 128 x 64, 64 x 64.
enum class MmaTile : int { large, tall, small };

struct MmaTileSize {
  int m, n, warps;
};
constexpr MmaTileSize kMmaTiles[] = {{128, 128, 8}, {128, 64, 4}, {64, 64, 4}};
constexpr KernelKind kMmaKernels[] = {KernelKind::mma_128x128, KernelKind::mma_128x64, KernelKind::mma_64x64};

constexpr bool is_mma(KernelKind kernel) {
  return kernel >= KernelKind::mma_128x128 && kernel <= KernelKind::mma_64x64;
}

struct MmaPlan {
  MmaTile tile = MmaTile::large;
  int splits = 1;  // parts of the sum; more than one means fp32 partial results and a second kernel that adds them
};

// One tile's share of the sum is taken in steps of this many products.
constexpr int kMmaStep = 32;

// `products` products of m x n results, each a sum of `steps` steps.
struct MmaProduct {
  int64_t m, n, steps, products = 1;
};

// The product that a pass is (docs/kernels/conv2d.md), of each group. With stride 2 a dgrad is four, of the largest
// phase's pixels.
inline MmaProduct mma_product(const Conv2d& v, Pass pass) {
  const auto parts = [](int64_t size, int64_t part) { return (size + part - 1) / part; };
  const int64_t taps = int64_t(v.r) * v.s, phases = int64_t(v.stride) * v.stride;
  if (pass == Pass::fprop) return {v.out_pixels(), v.k, taps * parts(v.c, kMmaStep), v.groups};
  if (pass == Pass::wgrad) return {v.k, taps * v.c, parts(v.out_pixels(), kMmaStep), v.groups};
  return {v.n * parts(v.h, v.stride) * parts(v.w, v.stride), v.c, parts(taps, phases) * parts(v.k, kMmaStep),
          phases * v.groups};
}

// Parts worth a thought.
constexpr int kMmaSplits[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
inline bool mma_worth_splitting(const MmaProduct& p, int splits) {
  constexpr int64_t kLeastSteps = 8;  // of a part
  return splits == 1 || p.steps >= splits * kLeastSteps;
}

// The model, in units of the time that the large tile takes per result and step with all of the card busy: small tiles
// read shared memory more often per product; a block spends some 4 steps to fill its pipeline and to store; a card of
// about 128 multiprocessors wants 12 warps on each; a partial result costs about 10 steps' time to write and to read.
inline double mma_cost(const MmaProduct& p, const MmaPlan& plan) {
  constexpr double kSlowness[] = {1, 1.1, 1.3}, kStart = 4, kWarps = 128 * 12, kPartial = 10;
  const MmaTileSize& size = kMmaTiles[int(plan.tile)];
  const int64_t tiles = ((p.m + size.m - 1) / size.m) * ((p.n + size.n - 1) / size.n) * p.products;
  const double idle = std::max(1.0, kWarps / (double(tiles) * plan.splits * size.warps));
  const double partials = plan.splits > 1 ? kPartial * plan.splits : 0;
  return double(tiles) * size.m * size.n *
         (kSlowness[int(plan.tile)] * idle * (double(p.steps) + kStart * plan.splits) + partials);
}

// The cheapest by the model.
inline MmaPlan mma_plan(const MmaProduct& p) {
  MmaPlan best;
  double least = 0;
  for (int t = 0; t < 3; ++t)
    for (const int splits : kMmaSplits) {
      if (!mma_worth_splitting(p, splits)) break;
      const double cost = mma_cost(p, {MmaTile(t), splits});
      if (least == 0 || cost < least) least = cost, best = {MmaTile(t), splits};
    }
  return best;
}

// What was chosen for the pass, else what the model says.
inline MmaPlan mma_plan(const Conv2d& conv, Pass pass) {
  const KernelChoice& choice = conv.kernels[pass];
  if (is_mma(choice.kernel)) return {MmaTile(int(choice.kernel) - int(KernelKind::mma_128x128)), choice.splits};
  return mma_plan(mma_product(conv, pass));
}

// The plans that the model thinks at most three times as slow as its best, and the best first: it knows no card, but
// what is further off it does not get wrong.
inline std::vector<KernelChoice> mma_choices(const Conv2d& conv, Pass pass) {
  constexpr double kFar = 3;
  const MmaProduct p = mma_product(conv, pass);
  const MmaPlan best = mma_plan(p);
  std::vector<KernelChoice> all{{kMmaKernels[int(best.tile)], best.splits}};
  for (int t = 0; t < 3; ++t)
    for (const int splits : kMmaSplits) {
      if (!mma_worth_splitting(p, splits)) break;
      const KernelChoice choice{kMmaKernels[t], splits};
      if (choice != all.front() && mma_cost(p, {MmaTile(t), splits}) <= kFar * mma_cost(p, best)) all.push_back(choice);
    }
  return all;
}

}  // namespace doppel
