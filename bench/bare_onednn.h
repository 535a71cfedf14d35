// The convolutions and matrix products of a training step as bare oneDNN calls: the yardstick of bench_step.
#pragma once

#include <functional>
#include <vector>

#include "runtime/graph.h"

namespace doppel::bench {

// One call per product that the graph's forward nodes and their gradients need: fprop, wgrad, and dgrad unless the node
// reads the graph's input. Activations in NHWC, weights in the layout oneDNN likes best, already there: nothing but the
// products themselves is timed. Memory is filled with small numbers.
std::vector<std::function<void()>> bare_products(const Graph& graph);

}  // namespace doppel::bench
