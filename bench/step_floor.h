// The least time that a training step can take on a device, from what its nodes compute and move.
#pragma once

#include "bench/peak.h"
#include "runtime/graph.h"

namespace doppel::bench {

// What one node moves at least: each input read once, each output written once. Of what is bound to the program only
// the optimiser's arenas count; the faces that are drawn from do not.
double least_bytes(const Graph& graph, const Node& node);

struct Floor {
  double arithmetic = 0, memory = 0;  // seconds: all operations at the peak; all bytes at the peak
  double seconds = 0;                 // of each node the larger of the two, summed
};
Floor floor_of(const Graph& graph, const Peak& peak);
Floor floor_of(const Graph& graph, const Node& node, const Peak& peak);

}  // namespace doppel::bench
