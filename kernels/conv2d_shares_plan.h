// Sums dealt to blocks in equal shares. Where tiles are no multiple of the multiprocessors, the last round leaves some
// of these idle. So whole rounds of tiles go first, and of the tiles that are left, laid end to end, each share is as
// many steps as any other: it begins or ends within a tile. The parts of a tile that is cut are kept in fp32, and a
// second kernel adds them, first to last: the number of shares sets the bits of a sum, and not who computes them.
//
// "Stream-K", of Osama, Merrill, Cecka, Garland and Owens, PPoPP 2023 (arXiv:2301.03598), section 5.2. Used by
// kernels/conv2d_wgmma_wgrad.cu; docs/kernels/conv2d_wgmma.md, "Equal shares".
#pragma once

#include <algorithm>
#include <climits>
#include <cstdint>
#include <stdexcept>

#include "kernels/both.h"

namespace doppel {

// Steps begin .. end of a tile's sum: none, all, or a part, which is kept in place `slot`.
struct SharePart {
  int tile, begin, end, slot;
};

struct Shares {
  // A part costs about as much as this many steps: to fill the pipeline, to store, to add. No part is shorter.
  static constexpr int kLeastSteps = 4;

  int steps;       // of each tile
  int blocks;      // as many as were asked for
  int whole;       // tiles that come first, whole rounds of blocks
  int cut;         // tiles behind them, fewer than blocks
  int count;       // shares of these, at most blocks; a share is no longer than a tile
  int base, rest;  // steps of a share, one more in the first `rest`

  // The first step of a share, of those of all tiles that are cut. Near the end of a tile it moves there.
  DOPPEL_BOTH int begin(int share) const {
    const int even = share * base + (share < rest ? share : rest), behind = even % steps;
    return behind < kLeastSteps ? even - behind : steps - behind < kLeastSteps ? even + steps - behind : even;
  }

  // Whose share a step is.
  DOPPEL_BOTH int share_of(int step) const {
    int share = step / base < count ? step / base : count - 1;
    while (begin(share) > step) --share;
    while (begin(share + 1) <= step) ++share;
    return share;
  }

  // The places of a tile's parts, of tile `whole + i`: first .. last, the same where the tile is whole.
  DOPPEL_BOTH int first_slot(int i) const { return share_of(i * steps) + i; }
  DOPPEL_BOTH int last_slot(int i) const { return share_of(i * steps + steps - 1) + i; }
  DOPPEL_BOTH int slots() const { return cut == 0 ? 0 : count + cut - 1; }

  // What there is to do, in numbers: blocks that take every `blocks`-th from their own on have a share each. Its parts
  // are two tiles' at most.
  DOPPEL_BOTH int parts() const { return cut == 0 ? whole : whole + 2 * blocks; }
  DOPPEL_BOTH SharePart part(int number) const {
    if (number < whole) return {number, 0, steps, 0};
    const int share = (number - whole) % blocks, second = (number - whole) / blocks;
    if (share >= count) return {whole, 0, 0, 0};
    const int from = begin(share), to = begin(share + 1), tile = from / steps + second;
    const int first = second ? 0 : from % steps, last = to - tile * steps;
    return {whole + tile, first, last < first ? first : last < steps ? last : steps, share + tile};
  }
};

// Whether int counts the tiles, beyond the last, and the steps of those that are cut.
inline bool shares_fit(int64_t tiles, int steps, int blocks) {
  return tiles < int64_t(1) << 30 && (tiles % blocks + 2) * steps <= INT_MAX;
}

// `tiles` sums of `steps` steps each for so many blocks, all at least 1, that fit: std::invalid_argument if not.
inline Shares shares_of(int64_t tiles, int steps, int blocks) {
  if (!shares_fit(tiles, steps, blocks))
    throw std::invalid_argument("conv2d: more tiles or steps than are dealt in equal shares");
  Shares s{steps, blocks, int(tiles / blocks * blocks), int(tiles % blocks), 0, 0, 0};
  if (s.cut == 0) return s;
  const int64_t all = int64_t(s.cut) * steps;
  s.count = int(std::clamp<int64_t>(all / Shares::kLeastSteps, s.cut, blocks));
  s.base = int(all / s.count), s.rest = int(all % s.count);
  return s;
}

}  // namespace doppel
