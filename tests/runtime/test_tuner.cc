// Choosing kernels by timing: what is timed, and what is chosen.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "kernels/emulator/emulator.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/matrix_operators.h"
#include "runtime/plan.h"
#include "runtime/tuner_bench.h"

using namespace doppel;
using namespace doppel::testing;
namespace fs = std::filesystem;

TEST_CASE("tuner: the fastest kernel is chosen for each product, timed once", "[tuner]") {
  TunerBench bench;
  Graph g = network();
  const Tuned tuned = bench.tune(g, by_splits);
  std::set<std::string> products;
  int kernels = 0;
  for (const Node& node : g.nodes) {
    const std::string product = node.op->product();
    if (product.empty()) continue;
    const std::vector<KernelChoice> all = node.op->choices(kEmulator);
    int most = 0;
    for (const KernelChoice& choice : all) most = std::max(most, choice.splits);
    INFO(product);
    CHECK(node.op->choice().splits == most);
    if (products.insert(product).second) kernels += int(all.size());
  }
  // Three passes of the first, of the second, and of the dense layer; the third layer is the second again, and the last
  // one differs from it in its fprop alone, which writes fp32.
  CHECK(products.size() == 10);
  CHECK(tuned.products == 10);
  CHECK(tuned.timed == kernels);
  CHECK(bench.timed == kernels);
  CHECK(bench.told.size() == 1);
  CHECK(bench.was_told("times " + std::to_string(kernels) + " kernels"));

  // The file is obeyed from then on, whatever a clock would say now.
  check_kept(bench, g, by_fewest_splits);
  CHECK(bench.timed == 0);
  CHECK(bench.told.empty());
  const Json file = Json::parse(read_file(bench.file), bench.file);
  CHECK(file.at("device").text() == "emulator");
  CHECK(file.at("microseconds").members().size() == 10);
  const auto& [product, times] = file.at("microseconds").members().front();
  for (const auto& [kernel, time] : times.members())
    CHECK(time.number() == Approx(1e3 / std::atoi(kernel.substr(kernel.find('/') + 1).c_str())).margin(1e-3));
}

TEST_CASE("tuner: what is taken by itself stays unless another is clearly faster", "[tuner]") {
  TunerBench bench;
  Graph g = network();
  const auto nearly = [](const Operator& op) {
    return op.choice() == op.choices(kEmulator).front() ? 1e-3 : 1e-3 * (1 - kWorthIt / 2);
  };
  bench.tune(g, nearly);
  for (const Node& node : g.nodes)
    if (!node.op->product().empty()) CHECK(node.op->choice() == node.op->choices(kEmulator).front());
}

TEST_CASE("tuner: workspaces are those of the chosen kernels", "[tuner]") {
  TunerBench bench;
  Graph split = network(), whole = network();
  bench.tune(split, by_splits);
  fs::remove(bench.file);
  bench.tune(whole, by_fewest_splits);
  size_t more = 0;
  for (size_t i = 0; i < split.nodes.size(); ++i) {
    const Operator &a = *split.nodes[i].op, &b = *whole.nodes[i].op;
    CHECK(a.workspace(kEmulator) >= b.workspace(kEmulator));
    more += a.workspace(kEmulator) > b.workspace(kEmulator);
    if (b.choice().splits == 1 && b.name() == "conv2d_dgrad") CHECK(b.workspace(kEmulator) == 0);
  }
  CHECK(more > 3);
  // Equal plans but for them.
  CHECK(value_bytes(split) == value_bytes(whole));
  CHECK(make_plan(split, kEmulator).workspace != make_plan(whole, kEmulator).workspace);
}

TEST_CASE("tuner: equal shares of all sums are a choice by a name of their own", "[tuner]") {
  struct Hopper {
    emulator::Options before = emulator::options();
    Hopper() { emulator::options().sm = 90; }
    ~Hopper() { emulator::options() = before; }
  } hopper;
  const auto traced = []() {
    Graph g(std::make_shared<ParameterLayout>(), DType::bf16);
    const ValueId x = g.value("x", {1, 32, 32, 16}, DType::bf16, Role::kept);
    const ValueId target = g.value("target", {1, 32, 32, 16}, DType::f32, Role::kept);
    image_loss(g, conv2d(g, x, "only", {.filters = 16, .kernel = 3, .fp32_output = true}), target, {}, "loss");
    differentiate(g);
    return g;
  };
  const auto of_wgrad = [](const Graph& g) {
    for (const Node& node : g.nodes)
      if (node.op->name() == "conv2d_wgrad") return node.op;
    throw std::logic_error("no wgrad");
  };
  TunerBench bench;
  Graph g = traced(), again = traced();
  // Three tiles of 128 x 256 for the emulator's two multiprocessors, so that the last is cut.
  const KernelChoice shares{KernelKind::wgmma_128x256, 1, 0, 2};
  bench.tune(g, [&](const Operator& op) { return op.choice() == shares ? 1e-6 : 1e-3; });
  CHECK(of_wgrad(g)->choice() == shares);
  CHECK(of_wgrad(g)->workspace(kEmulator) == 2 * 128 * 256 * sizeof(float));
  CHECK(read_file(bench.file).find("\"wgmma_128x256:2\": 1,") != std::string::npos);
  CHECK(bench.tune(again, by_splits).timed == 0);
  CHECK(of_wgrad(again)->choice() == shares);
}

TEST_CASE("tuner: nothing is timed where it means nothing, or is not asked for", "[tuner]") {
  TunerBench bench;
  for (const Candidates candidates : {Candidates::untimed, Candidates::handwritten}) {
    Graph g = network();
    const Stream stream = candidates == Candidates::untimed ? kEmulator : Stream{Device::cpu};
    CHECK(bench.tune(g, by_splits, candidates, stream).timed == 0);
    for (const KernelChoice& choice : chosen(g)) CHECK(choice == KernelChoice{});
  }
  Graph g = network();
  Tuning no_clock;
  no_clock.candidates = Candidates::handwritten;
  CHECK(choose_kernels(g, kEmulator, no_clock).timed == 0);
  CHECK_FALSE(fs::exists(bench.file));
}

TEST_CASE("tuner: candidates by their names", "[tuner]") {
  CHECK(named_tuning("handwritten", "", {}).candidates == Candidates::handwritten);
  CHECK(named_tuning("auto", "", {}).candidates == Candidates::all);
  CHECK(named_tuning("untimed", "", {}).candidates == Candidates::untimed);
  CHECK_THROWS_AS(named_tuning("fastest", "", {}), std::invalid_argument);
  std::string told;
  const Tuning tuning = named_tuning("auto", "file", [&](const std::string& line) { told = line; });
  CHECK(tuning.cache == "file");
  tuning.tell("a line");
  CHECK(told == "a line");
}

TEST_CASE("tuner: equal products have equal words, others do not", "[tuner]") {
  std::set<std::string> all;
  Conv2d conv{2, 8, 8, 16, 32, 3, 3, 1, 1, 1, 1, 1, DType::bf16, DType::bf16};
  const auto is_new = [&](const Conv2d& c, const Epilogue& e = {}) {
    return all.insert(describe(c, e, Pass::fprop)).second;
  };
  CHECK(is_new(conv));
  CHECK_FALSE(is_new(conv));
  int Conv2d::*const numbers[] = {&Conv2d::n,       &Conv2d::h,        &Conv2d::w,          &Conv2d::c,
                                  &Conv2d::k,       &Conv2d::r,        &Conv2d::s,          &Conv2d::stride,
                                  &Conv2d::pad_top, &Conv2d::pad_left, &Conv2d::pad_bottom, &Conv2d::pad_right};
  for (int Conv2d::*number : numbers) {
    Conv2d other = conv;
    other.*number += 1;
    CHECK(is_new(other));
  }
  for (DType Conv2d::*type : {&Conv2d::type, &Conv2d::out_type}) {
    Conv2d other = conv;
    other.*type = DType::f32;
    CHECK(is_new(other));
  }
  Conv2d grouped = conv;
  grouped.groups = 2;
  CHECK(is_new(grouped));
  CHECK(is_new(conv, {Activation::sigmoid, 0, false}));
  CHECK(is_new(conv, {Activation::leaky_relu, 0.1f, false}));
  CHECK(is_new(conv, {Activation::none, 0, true}));
  for (const Pass pass : {Pass::dgrad, Pass::wgrad}) CHECK(all.insert(describe(conv, {}, pass)).second);
  // What was chosen is no part of the product.
  conv.kernels.fprop = {KernelKind::simt, 2};
  CHECK_FALSE(is_new(conv));
  for (const Dense& d : {Dense{2, 8, 8, DType::f32}, Dense{3, 8, 8, DType::f32}, Dense{2, 9, 8, DType::f32},
                         Dense{2, 8, 9, DType::f32}, Dense{2, 8, 8, DType::bf16}})
    for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) CHECK(all.insert(describe(d, pass)).second);
}
