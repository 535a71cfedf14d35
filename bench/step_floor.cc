#include "bench/step_floor.h"

#include <algorithm>

namespace doppel::bench {

double least_bytes(const Graph& graph, const Node& node) {
  const double parameters = double(graph.layout().elements);
  const std::string name = node.op->name();
  // The arenas have no shape of their own in the graph. Of each parameter Adam reads gradient, weight and two moments
  // and writes the last three; the working copy is written, the running average read and written.
  if (name == "global_norm") return parameters * 4;
  if (name == "adam") {
    const bool average = node.out[3] != graph.weights, copies = graph.copies != kNoValue;
    return parameters * (7 * 4 + (average ? 2 * 4 : 0) + (copies ? 2 : 0));
  }
  double bytes = 0;
  for (const ValueId v : node.in) bytes += double(graph[v].bytes());
  for (const ValueId v : node.out) bytes += double(graph[v].bytes());
  return bytes;
}

Floor floor_of(const Graph& graph, const Node& node, const Peak& peak) {
  Floor f;
  f.arithmetic = node.op->flops() / peak.flops;
  f.memory = least_bytes(graph, node) / peak.bytes;
  f.seconds = std::max(f.arithmetic, f.memory);
  return f;
}

Floor floor_of(const Graph& graph, const Peak& peak) {
  Floor sum;
  for (const Node& node : graph.nodes) {
    const Floor f = floor_of(graph, node, peak);
    sum.arithmetic += f.arithmetic;
    sum.memory += f.memory;
    sum.seconds += f.seconds;
  }
  return sum;
}

}  // namespace doppel::bench
