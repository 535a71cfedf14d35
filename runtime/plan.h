// Where each value lives in the arena, found from lifetimes before the first step runs.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "runtime/graph.h"

namespace doppel {

struct Range {
  size_t offset = 0, bytes = 0;
  int first = 0, last = 0;  // nodes, inclusive
};

// Gives each range an offset (multiple of 64) such that ranges that are alive at the same time do not overlap; returns
// the bytes of the arena. Greedy by size: the largest range first, each at the lowest gap that holds it (as in
// Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020, section 5).
size_t place(std::vector<Range>& ranges);

struct Plan {
  std::vector<size_t> offset;     // [values] in the arena; only owners in the arena have one
  std::vector<size_t> workspace;  // [nodes] in the arena
  size_t arena_bytes = 0;
  size_t peak_live_bytes = 0;  // the most that is alive at any node: no placement can need less
};

// Operators' scratch memory on one stream. Each operator is asked once, which on the CPU compiles its kernel.
class Workspaces {
 public:
  explicit Workspaces(Stream stream) : stream_(stream) {}
  size_t of(const Node& node);

 private:
  Stream stream_;
  std::map<std::shared_ptr<const Operator>, size_t> known_;
};

Plan make_plan(const Graph& graph, Workspaces& workspaces);
Plan make_plan(const Graph& graph, Stream stream);

// Bytes of an arena for the values alone, without the nodes' workspaces. It asks no operator, so that on the CPU no
// kernel is compiled for it, and it is never more than a plan needs (but for a few bytes of bad luck in placing).
size_t value_bytes(const Graph& graph);

// "", or why a node's kernels do not take so large a shape (Operator::size_problem).
std::string size_problem(const Graph& graph);

}  // namespace doppel
