#include "runtime/plan.h"

#include <algorithm>
#include <numeric>

namespace doppel {
namespace {

constexpr size_t kAlign = 64;

size_t aligned(size_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

// The values that live in the arena, and for how long.
struct ArenaValues {
  std::vector<Range> ranges;
  std::vector<ValueId> values;  // whose the ranges are
};

ArenaValues arena_values(const Graph& graph) {
  const int nodes = int(graph.nodes.size());
  std::vector<Range> lives(graph.values.size(), Range{0, 0, nodes, -1});
  for (int i = 0; i < nodes; ++i) {
    const auto touch = [&](ValueId v) {
      Range& life = lives[size_t(graph.owner(v))];
      life.first = std::min(life.first, i);
      life.last = std::max(life.last, i);
    };
    for (ValueId v : graph.nodes[size_t(i)].in) touch(v);
    for (ValueId v : graph.nodes[size_t(i)].out) touch(v);
  }
  ArenaValues arena;
  for (size_t v = 0; v < graph.values.size(); ++v) {
    const Value& value = graph.values[v];
    if (value.base != kNoValue || value.role == Role::external) continue;
    if (value.role == Role::kept) lives[v].first = 0, lives[v].last = nodes;
    if (lives[v].last < 0) continue;
    arena.ranges.push_back({0, value.bytes(), lives[v].first, lives[v].last});
    arena.values.push_back(ValueId(v));
  }
  return arena;
}

}  // namespace

size_t place(std::vector<Range>& ranges) {
  std::vector<size_t> order(ranges.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ranges[a].bytes > ranges[b].bytes; });
  std::vector<const Range*> placed;  // by offset
  size_t total = 0;
  for (size_t index : order) {
    Range& range = ranges[index];
    const size_t bytes = aligned(range.bytes);
    size_t at = 0;
    for (const Range* other : placed) {
      if (other->last < range.first || range.last < other->first) continue;
      if (other->offset >= at + bytes) break;
      at = std::max(at, other->offset + aligned(other->bytes));
    }
    range.offset = at;
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &range,
                                   [](const Range* a, const Range* b) { return a->offset < b->offset; }),
                  &range);
    total = std::max(total, at + bytes);
  }
  return total;
}

size_t Workspaces::of(const Node& node) {
  const auto [entry, is_new] = known_.try_emplace(node.op, 0);
  if (is_new) entry->second = node.op->workspace(stream_);
  return entry->second;
}

Plan make_plan(const Graph& graph, Stream stream) {
  Workspaces workspaces(stream);
  return make_plan(graph, workspaces);
}

Plan make_plan(const Graph& graph, Workspaces& workspaces) {
  const int nodes = int(graph.nodes.size());
  auto [ranges, values] = arena_values(graph);
  Plan plan;
  plan.offset.assign(graph.values.size(), 0);
  plan.workspace.assign(graph.nodes.size(), 0);
  std::vector<size_t*> targets;
  for (ValueId v : values) targets.push_back(&plan.offset[size_t(v)]);
  for (int i = 0; i < nodes; ++i) {
    const size_t bytes = workspaces.of(graph.nodes[size_t(i)]);
    if (bytes == 0) continue;
    ranges.push_back({0, bytes, i, i});
    targets.push_back(&plan.workspace[size_t(i)]);
  }
  plan.arena_bytes = place(ranges);
  for (size_t i = 0; i < ranges.size(); ++i) *targets[i] = ranges[i].offset;
  // What begins to live and what has died, at every node.
  std::vector<size_t> born(size_t(nodes) + 2, 0), dead(size_t(nodes) + 2, 0);
  for (const Range& r : ranges) {
    born[size_t(r.first)] += aligned(r.bytes);
    dead[size_t(r.last) + 1] += aligned(r.bytes);
  }
  size_t live = 0;
  for (int i = 0; i < nodes; ++i) {
    live += born[size_t(i)] - dead[size_t(i)];
    plan.peak_live_bytes = std::max(plan.peak_live_bytes, live);
  }
  return plan;
}

size_t value_bytes(const Graph& graph) {
  auto arena = arena_values(graph);
  return place(arena.ranges);
}

std::string size_problem(const Graph& graph) {
  for (const Node& node : graph.nodes)
    if (std::string problem = node.op->size_problem(); !problem.empty()) return problem;
  return "";
}

}  // namespace doppel
