// Recomputation: whatever is given up, a step's results keep every bit; what is chosen fits, and costs no more than it
// must.
#include "runtime/recompute.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>

#include "kernels/philox.h"
#include "runtime/devices.h"
#include "runtime/gradient.h"
#include "runtime/operators.h"
#include "runtime/plan.h"
#include "runtime/program.h"

using namespace doppel;

namespace {

struct Net {
  Graph graph;
  ValueId state, x, target;
  std::vector<ValueId> losses;
  OptimizerArenas arenas;
};

// A network of random depth, widths and branches, with dense layers and views, for two people.
Net random_net(uint32_t seed) {
  Random random(17, 0, seed);
  const int rows = 2, side = 8;
  Net net{Graph(std::make_shared<ParameterLayout>(), DType::f32), 0, 0, 0, {}, {}};
  Graph& g = net.graph;
  net.state = g.value("state", {}, DType::f32, Role::external);
  net.x = g.value("x", {2 * rows, side, side, 3}, DType::f32, Role::kept);
  net.target = g.value("target", {2 * rows, side, side, 3}, DType::f32, Role::kept);
  int layers = 0;
  const auto layer = [&](ValueId in, int filters) {
    return leaky_relu(g, conv2d(g, in, "layer" + std::to_string(layers++), {.filters = filters}), 0.1f);
  };
  const auto stack = [&](ValueId h) {
    for (uint32_t blocks = random.below(4); blocks > 0; --blocks) switch (random.below(3)) {
        case 0:
          h = layer(h, 4 + 4 * int(random.below(3)));
          break;
        case 1: {  // a value with two readers
          const ValueId inside = conv2d(g, layer(h, 8), "sum" + std::to_string(layers++), {.filters = g[h].shape.c});
          h = add_leaky_relu(g, h, inside, 0.2f);
          break;
        }
        default: {
          const Shape s = g[h].shape;
          const int numbers = s.h * s.w * s.c;
          h = dense(g, g.reshape(h, {s.n, 1, 1, numbers}), "code" + std::to_string(layers++), 6);
          h = g.reshape(dense(g, h, "open" + std::to_string(layers++), numbers), s);
        }
      }
    return h;
  };
  ValueId h = layer(net.x, 4);
  h = stack(layer(pixel_shuffle(g, layer(h, 16)), 4));
  h = stack(
      leaky_relu(g, conv2d(g, h, "down", {.filters = 8, .kernel = 5, .stride = 2, .padding = Padding::same}), 0.1f));
  for (int p = 0; p < 2; ++p) {
    const std::string name = "person" + std::to_string(p);
    const ValueId own = stack(g.slice(h, p * rows, rows));
    const ValueId y = sigmoid(g, conv2d(g, own, name, {.filters = 3, .fp32_output = true}));
    net.losses.push_back(image_loss(g, y, g.slice(net.target, p * rows, rows), {}, "loss " + name));
  }
  if (random.below(2) == 0) fuse(g);
  differentiate(g);
  net.arenas = append_adam(g, net.state, {});
  drop_dead_nodes(g);
  return net;
}

size_t arena_of(const Graph& g) {
  return make_plan(g, Stream{}).arena_bytes;
}

// Losses, gradients and weights after some steps of `graph`, which is the net's own or made from it.
std::vector<float> results(const Net& net, const Graph& graph, Device device) {
  const DeviceStream stream(device);
  const size_t bytes = graph.layout().elements * sizeof(float);
  Program program(graph, stream);
  Buffer state(sizeof(StepState), device);
  const StepState start{1, 0, 1e-2f, 0};
  upload(state.data(), &start, sizeof start, stream);
  program.bind(net.state, state.data());
  std::map<ValueId, Buffer> arenas;
  for (const ValueId v : {graph.weights, graph.gradients, net.arenas.m, net.arenas.v})
    program.bind(v, (arenas[v] = Buffer(bytes, device)).data());
  Random random(3, 0, 0);
  const auto fill = [&](void* to, size_t count, float low, float high) {
    std::vector<float> values(count);
    for (float& v : values) v = random.uniform(low, high);
    upload(to, values.data(), count * sizeof(float), stream);
  };
  fill(arenas[graph.weights].data(), graph.layout().elements, -0.3f, 0.3f);
  for (const ValueId v : {net.x, net.target}) fill(program.data(v), size_t(graph[v].shape.elements()), 0, 1);
  for (int step = 0; step < 2; ++step) program.run_checked();
  std::vector<float> all;
  for (const ValueId v : net.losses) {
    all.resize(all.size() + 4);
    download(all.data() + all.size() - 4, program.data(v), 4 * sizeof(float), stream);
  }
  for (const ValueId v : {graph.weights, graph.gradients}) {
    const HostCopy host(arenas[v], stream);
    all.insert(all.end(), host.as<float>(), host.as<float>() + graph.layout().elements);
  }
  return all;
}

// A chain of layers of equal size.
Graph chain(int layers) {
  Graph g(std::make_shared<ParameterLayout>(), DType::f32);
  const ValueId x = g.value("x", {2, 8, 8, 8}, DType::f32, Role::kept);
  const ValueId target = g.value("target", {2, 8, 8, 8}, DType::f32, Role::kept);
  ValueId h = x;
  for (int i = 0; i < layers; ++i) h = leaky_relu(g, conv2d(g, h, "layer" + std::to_string(i), {.filters = 8}), 0.1f);
  image_loss(g, h, target, {}, "loss");
  fuse(g);
  differentiate(g);
  return g;
}

}  // namespace

TEST_CASE("whatever is computed again, a step keeps every bit", "[recompute]") {
  int smaller = 0;
  for (uint32_t trial = 0; trial < 8; ++trial) {
    INFO("network " << trial);
    const Net net = random_net(trial);
    const std::vector<ValueId> values = recomputable(net.graph);
    REQUIRE(values.size() >= 3);
    const std::vector<float> plain = results(net, net.graph, Device::cpu);
    REQUIRE(plain[0] > 0);

    Random random(23, 0, trial);
    std::vector<ValueId> some;
    for (ValueId v : values)
      if (random.below(2)) some.push_back(v);
    Workspaces workspaces{Stream{}};
    const Recomputation least = choose_recomputation(
        net.graph, 0, [&](const Graph& g) { return make_plan(g, workspaces).arena_bytes; });
    CHECK(least.bytes <= arena_of(net.graph));
    smaller += least.bytes < arena_of(net.graph);
    for (const std::vector<ValueId>& given_up : {some, values, least.values}) {
      const Graph again = recompute(net.graph, given_up);
      CHECK(again.nodes.size() >= net.graph.nodes.size() + given_up.size());
      CHECK(results(net, again, Device::cpu) == plain);
    }
    CHECK(arena_of(recompute(net.graph, least.values)) == least.bytes);
    CHECK(flops(recompute(net.graph, least.values)) == flops(net.graph) + least.flops);
  }
  CHECK(smaller >= 7);
}

TEST_CASE("a step that computes again keeps every bit through the CUDA kernels", "[recompute][emulator]") {
  const testing::Guard guard;
  for (const Device device : testing::devices()) {
    if (device == Device::cpu) continue;
    INFO(testing::name_of(device));
    const Net net = random_net(1);
    const Graph again = recompute(net.graph, recomputable(net.graph));
    CHECK(results(net, again, device) == results(net, net.graph, device));
  }
}

TEST_CASE("what is chosen fits and costs no more than it must", "[recompute]") {
  constexpr int kLayers = 36;
  const Graph g = chain(kLayers);
  const size_t all = value_bytes(g), layer = 2 * 8 * 8 * 8 * sizeof(float);
  const double forward = flops(g) / 3;  // dgrad and wgrad of a layer cost what it costs
  REQUIRE(recomputable(g).size() == kLayers);

  const Recomputation none = choose_recomputation(g, all, value_bytes);
  CHECK(none.values.empty());
  CHECK(none.flops == 0);
  CHECK(none.bytes == all);

  // 2 sqrt(layers) values suffice for the segments (Chen et al., section 4.1), and a few for the rest of the step.
  const Recomputation least = choose_recomputation(g, 0, value_bytes);
  CHECK(least.bytes <= (2 * 6 + 5) * layer);
  CHECK(least.flops <= forward);

  double flops_before = 0;
  for (size_t limit = all - 1; limit >= least.bytes; limit -= 3 * layer) {
    const Recomputation some = choose_recomputation(g, limit, value_bytes);
    CAPTURE(limit, some.bytes, some.values.size());
    CHECK(some.bytes <= limit);
    CHECK(some.flops >= flops_before);
    CHECK(value_bytes(recompute(g, some.values)) == some.bytes);
    // Nothing is given up in vain.
    for (ValueId kept : some.values) {
      std::vector<ValueId> fewer = some.values;
      fewer.erase(std::find(fewer.begin(), fewer.end(), kept));
      CHECK(value_bytes(recompute(g, fewer)) > limit);
    }
    flops_before = some.flops;
  }
  CHECK(flops_before > 0);
}

TEST_CASE("draws, losses and what the backward pass does not read are not computed again", "[recompute]") {
  Graph g(std::make_shared<ParameterLayout>(), DType::f32);
  const ValueId state = g.value("state", {}, DType::f32, Role::external);
  Warp options;
  options.people = 1;
  options.batch = 2;
  options.out_size = 16;
  const WarpOutputs drawn = warp(g, state, options, nullptr);
  const ValueId h = leaky_relu(g, conv2d(g, drawn.input, "in", {.filters = 8}), 0.1f);
  const ValueId up = pixel_shuffle(g, leaky_relu(g, h, 0.5f));  // its input's shape is all that its gradient needs
  const ValueId up_in = g.nodes.back().in[0];
  const ValueId small =
      leaky_relu(g, conv2d(g, up, "down", {.filters = 4, .stride = 2, .padding = Padding::same}), 0.1f);
  const ValueId y = sigmoid(g, conv2d(g, small, "out", {.filters = 3, .fp32_output = true}));
  image_loss(g, y, drawn.target, {}, "loss");
  differentiate(g);
  append_adam(g, state, {});
  const std::vector<ValueId> values = recomputable(g);
  const auto has = [&](ValueId v) { return std::find(values.begin(), values.end(), v) != values.end(); };
  CHECK_FALSE(has(drawn.input));
  CHECK_FALSE(has(drawn.target));
  CHECK(has(h));
  CHECK(has(up_in));
  CHECK(has(up));
  CHECK(has(small));
  CHECK(has(y));
  const Graph again = recompute(g, {h});
  CHECK(again.forward == g.forward);
  // The second run stands in the backward pass, before whatever reads it.
  const auto second = std::find_if(again.nodes.begin() + std::ptrdiff_t(g.forward), again.nodes.end(),
                                   [](const Node& node) { return node.op->name() == "leaky_relu"; });
  REQUIRE(second != again.nodes.end());
  for (auto node = again.nodes.begin() + std::ptrdiff_t(g.forward); node != second; ++node)
    for (ValueId in : node->in) CHECK(in != second->out[0]);
}
