// Activation recomputation: values of the forward pass that the backward pass reads are given up in between and
// computed again just before they are read. The arena shrinks, the step does some of its forward pass twice, and its
// results keep every bit: the same operators run on the same inputs.
//
// After Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost", 2016, section 4: some values are
// kept as checkpoints, what lies between two of them is computed again segment by segment. No value is computed more
// than twice, so that a step takes at most one more forward pass.
#pragma once

#include <functional>
#include <vector>

#include "runtime/graph.h"

namespace doppel {

// The values, in the order of the forward pass, that recompute() can do without: written by repeatable nodes that write
// nothing else and read nothing that changes before the backward pass, and read by the backward pass.
std::vector<ValueId> recomputable(const Graph& g);

// The differentiated graph with `values`, some of recomputable(), computed again: each is written by a second run of
// its node (with those of given-up values that this one reads) before the first node of the backward pass that needs
// it.
Graph recompute(const Graph& g, const std::vector<ValueId>& values);

// Of one replay.
double flops(const Graph& g);

struct Recomputation {
  std::vector<ValueId> values;  // none: nothing is computed again
  size_t bytes = 0;             // of the arena
  double flops = 0;             // more than without
};

// The bytes of a graph's arena.
using ArenaBytes = std::function<size_t(const Graph&)>;

// The cheapest choice of values, in FLOPs, found among those whose arena is at most `limit`; where none is found, the
// one whose arena is smallest. Segments of about equal bytes, 1 to 2 sqrt(values) of them, are tried (section 4.4); in
// each trial, single values are given up or kept as long as that makes an arena beyond the limit smaller, and then kept
// again, the most FLOPs first, as long as it stays within the limit (or does not grow).
Recomputation choose_recomputation(const Graph& g, size_t limit, const ArenaBytes& bytes);

}  // namespace doppel
