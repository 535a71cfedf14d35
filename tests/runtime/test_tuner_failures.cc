// Kernels that cannot be timed: they throw, have no room, or the run ends.
#include <stdexcept>

#include "kernels/device_error.h"
#include "runtime/error.h"
#include "runtime/kernel_cache.h"
#include "runtime/tuner_bench.h"

using namespace doppel;
using namespace doppel::testing;
namespace fs = std::filesystem;

TEST_CASE("tuner: a kernel that throws loses its place, and one line says so", "[tuner]") {
  TunerBench bench;
  const auto is_model = [](const Operator& op) { return op.choice() == op.choices(kEmulator).front(); };
  const auto throws = [&](const auto& error) {
    return [=](const Operator& op) -> double {
      if (!is_model(op)) throw error;
      return 1;
    };
  };
  const std::function<double(const Operator&)> failing[] = {throws(std::runtime_error("odd grid")),
                                                            throws(std::invalid_argument("odd grid"))};
  for (const auto& seconds : failing) {
    fs::remove(bench.file);
    Graph g = network();
    const int timed = bench.tune(g, seconds).timed;
    for (const Node& node : g.nodes)
      if (!node.op->product().empty()) CHECK(is_model(*node.op));
    CHECK(int(bench.told.size()) == 1 + timed - 10);  // all but the model's, of ten products
    CHECK(bench.was_told(": not by mma_64x64/1: odd grid"));
    // That is kept.
    check_kept(bench, g, by_splits);
  }
}

TEST_CASE("tuner: a product for which there is no memory keeps the model's kernel until the next run", "[tuner]") {
  TunerBench bench;
  Graph g = network();
  const std::string poor = g.nodes.front().op->product();
  const auto all = g.nodes.front().op->choices(kEmulator);
  REQUIRE(all.size() > 1);
  const auto seconds = [&](const Operator& op) {
    if (op.product() == poor) throw OutOfMemory("too much");
    return last_is_fastest(op);
  };
  for (int run = 0; run < 2; ++run) {
    Graph poorer = network();
    CHECK(bench.tune(poorer, seconds).timed >= int(all.size()));
    CHECK(bench.told.size() == 2);
    CHECK(bench.was_told(poor + ": no room to time its kernels"));
    CHECK(poorer.nodes.front().op->choice() == all.front());
  }
  // With room, all of that product and nothing else is timed, and kept.
  CHECK(bench.tune(g, last_is_fastest).timed == int(all.size()));
  CHECK(g.nodes.front().op->choice() == all.back());
  check_kept(bench, g, by_fewest_splits);
}

TEST_CASE("tuner: a kernel that has no room is left out until the next run", "[tuner]") {
  TunerBench bench;
  Graph g = network();
  const auto all = g.nodes.front().op->choices(kEmulator);
  REQUIRE(all.size() > 1);
  const std::string product = g.nodes.front().op->product();
  bench.tune(g, [&](const Operator& op) {
    if (op.product() == product && op.choice() == all.back()) throw OutOfMemory("too much");
    return last_is_fastest(op);
  });
  CHECK(bench.was_told(product + ": no room to time " + to_string(all.back())));
  CHECK(g.nodes.front().op->choice() == all.front());
  Graph again = network();
  CHECK(bench.tune(again, last_is_fastest).timed == 1);
  CHECK(again.nodes.front().op->choice() == all.back());
}

TEST_CASE("tuner: what ends timing", "[tuner]") {
  TunerBench bench;
  Graph g = network();
  CHECK_THROWS_AS(bench.tune(g, [](const Operator&) -> double { throw Interrupted("stopped"); }), Interrupted);
  CHECK_THROWS_AS(bench.tune(g, [](const Operator&) -> double { throw std::runtime_error("the model's"); }),
                  std::runtime_error);
  CHECK_FALSE(fs::exists(bench.file));
}
