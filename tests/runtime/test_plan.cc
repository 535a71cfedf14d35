// The planner: whatever the lifetimes, nothing that is alive at the same time shares a byte.
#include <algorithm>
#include <catch2/catch.hpp>

#include "kernels/philox.h"
#include "runtime/gradient.h"
#include "runtime/operators.h"
#include "runtime/plan.h"

using namespace doppel;

namespace {

bool alive_together(const Range& a, const Range& b) {
  return a.first <= b.last && b.first <= a.last;
}

bool overlap(const Range& a, const Range& b) {
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

}  // namespace

TEST_CASE("ranges that are alive together never overlap", "[plan]") {
  for (uint32_t trial = 0; trial < 300; ++trial) {
    Random random(7, 0, trial);
    std::vector<Range> ranges(1 + random.below(60));
    for (Range& r : ranges) {
      r.bytes = random.below(5) == 0 ? random.below(3) : 1 + random.below(5000);
      r.first = int(random.below(40));
      r.last = r.first + int(random.below(12));
    }
    const size_t total = place(ranges);
    for (size_t i = 0; i < ranges.size(); ++i) {
      REQUIRE(ranges[i].offset % 64 == 0);
      REQUIRE(ranges[i].offset + ranges[i].bytes <= total);
      for (size_t k = 0; k < i; ++k) {
        const bool clash = alive_together(ranges[i], ranges[k]) && overlap(ranges[i], ranges[k]);
        REQUIRE_FALSE(clash);
      }
    }
  }
}

TEST_CASE("memory is used again once its value is dead", "[plan]") {
  std::vector<Range> ranges{{0, 6400, 0, 1}, {0, 6400, 2, 3}, {0, 6400, 4, 5}};
  REQUIRE(place(ranges) == 6400);
}

TEST_CASE("a network's plan keeps live values apart and fuses its blocks", "[plan]") {
  auto layout = std::make_shared<ParameterLayout>();
  Graph g(layout, DType::f32);
  const ValueId x = g.value("x", {2, 8, 8, 3}, DType::f32, Role::kept);
  const ValueId target = g.value("target", {2, 16, 16, 3}, DType::f32, Role::kept);
  const ValueId h = leaky_relu(g, conv2d(g, x, "first", {.filters = 8}), 0.1f);
  const ValueId up = pixel_shuffle(g, leaky_relu(g, conv2d(g, h, "up", {.filters = 16}), 0.1f));
  const ValueId y = sigmoid(g, conv2d(g, up, "out", {.filters = 3, .fp32_output = true}));
  image_loss(g, y, target, {}, "loss");
  // Three convolutions take along two leaky ReLUs, a shuffle and a sigmoid.
  REQUIRE(fuse(g) == 4);
  REQUIRE(g.nodes.size() == 4);
  differentiate(g);
  const Plan plan = make_plan(g, Stream{});
  REQUIRE(plan.arena_bytes >= plan.peak_live_bytes);
  REQUIRE(value_bytes(g) > 0);
  REQUIRE(value_bytes(g) <= plan.arena_bytes);

  // Lifetimes counted here from the nodes, not taken from the planner.
  std::vector<Range> lives;
  for (size_t v = 0; v < g.values.size(); ++v) {
    if (g.values[v].base != kNoValue || g.values[v].role == Role::external) continue;
    Range life{plan.offset[v], g.values[v].bytes(), int(g.nodes.size()), -1};
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      std::vector<ValueId> touched = g.nodes[i].in;
      touched.insert(touched.end(), g.nodes[i].out.begin(), g.nodes[i].out.end());
      for (ValueId t : touched)
        if (g.owner(t) == ValueId(v)) {
          life.first = std::min(life.first, int(i));
          life.last = std::max(life.last, int(i));
        }
    }
    if (g.values[v].role == Role::kept) life.first = 0, life.last = int(g.nodes.size());
    if (life.last >= 0) lives.push_back(life);
  }
  REQUIRE(lives.size() > 8);
  for (size_t i = 0; i < lives.size(); ++i)
    for (size_t k = 0; k < i; ++k) {
      const bool clash = alive_together(lives[i], lives[k]) && overlap(lives[i], lives[k]);
      REQUIRE_FALSE(clash);
    }
}

TEST_CASE("nodes that nothing reads are dropped", "[plan]") {
  Graph g(std::make_shared<ParameterLayout>(), DType::f32);
  const ValueId x = g.value("x", {1, 4, 4, 3}, DType::f32, Role::kept);
  const ValueId used = conv2d(g, x, "used", {.filters = 2});
  conv2d(g, x, "unused", {.filters = 2});
  g[used].role = Role::kept;
  REQUIRE(drop_dead_nodes(g) == 1);
  REQUIRE(g.nodes.size() == 1);
}
