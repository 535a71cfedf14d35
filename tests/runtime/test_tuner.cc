// Choosing kernels by timing: what is timed, what is kept, and what becomes of a file that is not as it should be. The
// times are made up here, since the emulator's mean nothing.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

#include <unistd.h>

#include "kernels/device_error.h"
#include "runtime/atomic_file.h"
#include "runtime/devices.h"
#include "runtime/error.h"
#include "runtime/gradient.h"
#include "runtime/json.h"
#include "runtime/kernel_cache.h"
#include "runtime/kernel_timer.h"
#include "runtime/matrix_operators.h"
#include "runtime/operators.h"
#include "runtime/plan.h"
#include "runtime/tuner.h"

using namespace doppel;

namespace {

namespace fs = std::filesystem;

constexpr Stream kEmulator{Device::emulator};

// A small network with its gradient; the second and the third convolution make the same products.
Graph network(DType type = DType::bf16) {
  Graph g(std::make_shared<ParameterLayout>(), type);
  const ValueId x = g.value("x", {2, 8, 8, 16}, type, Role::kept);
  const ValueId target = g.value("target", {2, 8, 8, 16}, DType::f32, Role::kept);
  ValueId h = conv2d(g, x, "first", {.filters = 16, .kernel = 5});
  h = conv2d(g, conv2d(g, h, "second", {.filters = 16}), "third", {.filters = 16});
  h = g.reshape(dense(g, g.reshape(h, {2, 1, 1, 1024}), "dense", 1024), {2, 8, 8, 16});
  image_loss(g, conv2d(g, h, "last", {.filters = 16, .fp32_output = true}), target, {}, "loss");
  g[x].needs_gradient = true;  // so that the first layer has a dgrad, too
  differentiate(g);
  return g;
}

// A folder of its own for a file, gone at the end; what was told; and how often a kernel was timed.
struct Bench {
  std::string folder = (fs::temp_directory_path() / ("doppel-tuner-" + std::to_string(getpid()))).string();
  std::string file = folder + "/deep/kernels.json";
  std::vector<std::string> told;
  int timed = 0;

  Bench() { fs::remove_all(folder); }
  ~Bench() { fs::remove_all(folder); }

  Tuned tune(Graph& g, const std::function<double(const Operator&)>& seconds,
             Candidates candidates = Candidates::handwritten, Stream stream = kEmulator) {
    Tuning tuning;
    tuning.candidates = candidates;
    tuning.cache = file;
    tuning.tell = [this](const std::string& line) { told.push_back(line); };
    tuning.seconds = [this, seconds](const Operator& op) { return ++timed, seconds(op); };
    told.clear();
    timed = 0;
    return choose_kernels(g, stream, tuning);
  }
  bool was_told(const std::string& part) const {
    for (const std::string& line : told)
      if (line.find(part) != std::string::npos) return true;
    return false;
  }
};

double by_splits(const Operator& op) {
  return 1e-3 / op.choice().splits;
}
double by_fewest_splits(const Operator& op) {
  return 1e-3 * op.choice().splits;
}

std::vector<KernelChoice> chosen(const Graph& g) {
  std::vector<KernelChoice> all;
  for (const Node& node : g.nodes)
    if (!node.op->product().empty()) all.push_back(node.op->choice());
  return all;
}

}  // namespace

TEST_CASE("tuner: the fastest kernel is chosen for each product, timed once", "[tuner]") {
  Bench bench;
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
  Graph again = network();
  CHECK(bench.tune(again, by_fewest_splits).timed == 0);
  CHECK(bench.timed == 0);
  CHECK(bench.told.empty());
  CHECK(chosen(again) == chosen(g));
  const Json file = Json::parse(read_file(bench.file), bench.file);
  CHECK(file.at("device").text() == "emulator");
  CHECK(file.at("microseconds").members().size() == 10);
  const auto& [product, times] = file.at("microseconds").members().front();
  for (const auto& [kernel, time] : times.members())
    CHECK(time.number() == Approx(1e3 / std::atoi(kernel.substr(kernel.find('/') + 1).c_str())).margin(1e-3));
}

TEST_CASE("tuner: what is taken by itself stays unless another is clearly faster", "[tuner]") {
  Bench bench;
  Graph g = network();
  const auto nearly = [](const Operator& op) {
    return op.choice() == op.choices(kEmulator).front() ? 1e-3 : 1e-3 * (1 - kWorthIt / 2);
  };
  bench.tune(g, nearly);
  for (const Node& node : g.nodes)
    if (!node.op->product().empty()) CHECK(node.op->choice() == node.op->choices(kEmulator).front());
}

TEST_CASE("tuner: workspaces are those of the chosen kernels", "[tuner]") {
  Bench bench;
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

TEST_CASE("tuner: nothing is timed where it means nothing, or is not asked for", "[tuner]") {
  Bench bench;
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

TEST_CASE("tuner: without cuDNN `all` are our own, and one line says so", "[tuner]") {
  Bench bench;
  Graph own = network(), all = network();
  bench.tune(own, by_splits);
  CHECK(bench.tune(all, by_splits, Candidates::all).timed == 0);
  CHECK(bench.told.size() == 1);
  CHECK(bench.was_told("cuDNN and cuBLASLt are left out"));
  CHECK(chosen(all) == chosen(own));
}

TEST_CASE("tuner: libraries that are asked for where there is no card are told to be left out", "[tuner]") {
  for (const Device device : {Device::cpu, Device::emulator}) {
    Graph g = network();
    std::vector<std::string> told;
    Tuning tuning;
    tuning.tell = [&](const std::string& line) { told.push_back(line); };
    for (const Candidates candidates : {Candidates::untimed, Candidates::handwritten}) {
      tuning.candidates = candidates;
      CHECK(choose_kernels(g, {device}, tuning).timed == 0);
      CHECK(told.empty());
    }
    tuning.candidates = Candidates::all;
    CHECK(choose_kernels(g, {device}, tuning).timed == 0);
    CHECK(told == std::vector<std::string>{"cuDNN and cuBLASLt are left out: they need a card"});
  }
}

TEST_CASE("tuner: a file that is damaged or of another time is replaced", "[tuner]") {
  Bench bench;
  Graph first = network();
  bench.tune(first, by_splits);
  const std::string good = read_file(bench.file);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    return text.replace(text.find(from), from.size(), to);
  };
  struct Case {
    std::string text;
    bool damaged;
  };
  const Case cases[] = {{good.substr(0, good.size() / 2), true},
                        {"", true},
                        {"[]", true},
                        {changed("\"mma_64x64/1\": ", "\"mma_64x64/1\": -"), true},
                        {changed("\"mma_64x64/1\": ", "\"mma_64x64/1\": \"\", \"x\": "), true},
                        {changed("\"generation\": \"", "\"generation\": \"0"), false},
                        {changed("\"format\": 1", "\"format\": 0"), false},
                        {changed("\"device\": \"", "\"device\": \"other "), false}};
  for (const Case& c : cases) {
    INFO(c.text);
    write_file(bench.file, c.text);
    Graph g = network();
    CHECK(bench.tune(g, by_fewest_splits).timed > 0);
    CHECK(bench.told.size() == (c.damaged ? 2 : 1));
    CHECK(bench.was_told("damaged") == c.damaged);
    CHECK(chosen(g) != chosen(first));
    Graph next = network();
    CHECK(bench.tune(next, by_splits).timed == 0);
    CHECK(chosen(next) == chosen(g));
  }
  // What is missing alone is measured.
  write_file(bench.file, changed("\"mma_64x64/1\": ", "\"mma_64x64/1000\": "));
  Graph g = network();
  CHECK(bench.tune(g, by_splits).timed == 1);
}

TEST_CASE("tuner: a file that cannot be written is told and no failure", "[tuner]") {
  Bench bench;
  fs::create_directories(bench.folder);
  write_file(bench.folder + "/deep", "a file where a folder should be");
  Graph g = network();
  CHECK(bench.tune(g, by_splits).timed > 0);
  CHECK(bench.was_told("not kept"));
  CHECK(chosen(g).front() != KernelChoice{});
}

TEST_CASE("tuner: where the file lies", "[tuner]") {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  const std::string cache_before = cache ? cache : "", home_before = home ? home : "";
  setenv("XDG_CACHE_HOME", "/cache", 1);
  CHECK(kernel_cache_path("NVIDIA H200") == "/cache/doppel/kernels-NVIDIA-H200.json");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/anna", 1);
  CHECK(kernel_cache_path("a/b") == "/home/anna/.cache/doppel/kernels-a-b.json");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  CHECK(kernel_cache_path("x").empty());
  if (cache) setenv("XDG_CACHE_HOME", cache_before.c_str(), 1);
  if (home) setenv("HOME", home_before.c_str(), 1);
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

TEST_CASE("tuner: views of one value lie apart as they do in the graph", "[tuner]") {
  // An operator that looks at where its operands are.
  class Looks : public Operator {
   public:
    std::string name() const override { return "looks"; }
    void run(const Arguments& a) const override {
      const auto at = [&](size_t i) { return static_cast<const char*>(a.in[i]); };
      CHECK(at(1) - at(0) == 2 * 8 * 4);
      CHECK(at(2) - at(0) == -8 * 4);
      CHECK(a.out[0] == at(1) + 4 * 8 * 4);
      CHECK(at(3) != nullptr);
    }
  };
  Graph g(std::make_shared<ParameterLayout>(), DType::f32);
  const ValueId whole = g.value("whole", {16, 1, 1, 8}, DType::f32), other = g.value("other", {4, 1, 1, 8}, DType::f32);
  const ValueId rows = g.slice(whole, 2, 14);
  g.append(std::make_shared<Looks>(), {g.slice(rows, 1, 1), g.slice(rows, 3, 1), g.slice(whole, 2, 1), other},
           {g.slice(rows, 7, 7)});
  KernelTimer timer(Stream{Device::emulator});
  timer.set_node(g, g.nodes.front());
  CHECK(timer.seconds(*g.nodes.front().op) > 0);
}

TEST_CASE("tuner: kernels are timed on operands of their own", "[tuner][emulator]") {
  Graph g(std::make_shared<ParameterLayout>(), DType::bf16);
  const ValueId x = g.value("x", {1, 4, 4, 8}, DType::bf16, Role::kept);
  conv2d(g, x, "conv", {.filters = 8});
  for (const Device device : testing::devices()) {
    if (device == Device::cpu) continue;
    const testing::Guard guard;
    const DeviceStream stream(device);
    KernelTimer timer(stream);
    const Node& node = g.nodes.front();
    timer.set_node(g, node);
    for (const KernelChoice& choice : {KernelChoice{}, KernelChoice{KernelKind::mma_64x64, 3}}) {
      const double seconds = timer.seconds(*node.op->with(choice));
      CHECK(seconds > 0);
      CHECK(seconds < 60);
    }
  }
}

namespace {

// A convolution whose result is damaged: by what `damage` does to the output, which the emulator's host can reach.
class Damaged : public Operator {
 public:
  Damaged(std::shared_ptr<const Operator> op, std::function<void(void*)> damage)
      : op_(std::move(op)), damage_(std::move(damage)) {}
  std::string name() const override { return "damaged"; }
  size_t workspace(Stream s) const override { return op_->workspace(s); }
  void run(const Arguments& a) const override {
    op_->run(a);
    damage_(a.out[0]);
  }

 private:
  std::shared_ptr<const Operator> op_;
  std::function<void(void*)> damage_;
};

// Writes nothing.
class Idle : public Operator {
 public:
  std::string name() const override { return "idle"; }
  void run(const Arguments&) const override {}
};

}  // namespace

TEST_CASE("tuner: a kernel whose results differ is told from one that sums in another order", "[tuner][emulator]") {
  for (const DType type : {DType::bf16, DType::f32}) {
    INFO(name_of(type));
    Graph g(std::make_shared<ParameterLayout>(), type);
    const ValueId x = g.value("x", {1, 32, 32, 64}, type, Role::kept);
    // 320 KiB or 640: several pieces.
    const ValueId y = conv2d(g, x, "conv", {.filters = 160, .kernel = 1});
    const Node& node = g.nodes.front();
    KernelTimer timer(kEmulator);
    timer.set_node(g, node);
    timer.keep_results(*node.op);
    for (const int splits : {1, 2}) {
      const KernelChoice choice{type == DType::bf16 ? KernelKind::mma_64x64 : KernelKind::simt, splits};
      INFO(to_string(choice));
      CHECK(timer.distance(*node.op->with(choice)) <= timer.most_distance());
    }

    const size_t bytes = g[y].bytes();
    const auto distance = [&](const std::function<void(char*)>& damage) {
      return timer.distance(Damaged(node.op, [&](void* out) { damage(static_cast<char*>(out)); }));
    };
    CHECK(distance([](char*) {}) == 0);
    // Two rows of the picture exchanged, at the beginning, within, at the end: each in one piece alone.
    const size_t row = bytes / 32;
    for (const size_t at : {size_t(0), 15 * row, 30 * row})
      CHECK(distance([&](char* out) { std::swap_ranges(out + at, out + at + row, out + at + row); }) > 0.1);
    CHECK(distance([&](char* out) { std::memset(out, 0, row); }) > timer.most_distance());
    // One NaN, and nothing written at all: the results of the kernel before must not count.
    CHECK(std::isnan(distance([&](char* out) { std::memset(out + bytes - size_of(type), 0xFF, size_of(type)); })));
    CHECK(std::isnan(timer.distance(Idle())));
    // The comparison has changed nothing for those that follow.
    CHECK(timer.distance(*node.op) == 0);
  }
}

TEST_CASE("tuner: a kernel that throws loses its place, and one line says so", "[tuner]") {
  Bench bench;
  const auto is_model = [](const Operator& op) { return op.choice() == op.choices(kEmulator).front(); };
  const auto throws = [&](const auto& error) {
    return [=](const Operator& op) -> double {
      if (!is_model(op)) throw error;
      return 1;
    };
  };
  const std::function<double(const Operator&)> failing[] = {throws(std::runtime_error("odd grid")),
                                                            throws(std::invalid_argument("odd grid")),
                                                            throws(OutOfMemory("odd grid"))};
  for (const auto& seconds : failing) {
    fs::remove(bench.file);
    Graph g = network();
    const int timed = bench.tune(g, seconds).timed;
    for (const Node& node : g.nodes)
      if (!node.op->product().empty()) CHECK(is_model(*node.op));
    CHECK(int(bench.told.size()) == 1 + timed - 10);  // all but the model's, of ten products
    CHECK(bench.was_told(": not by mma_64x64/1: odd grid"));
    // That is kept.
    Graph again = network();
    CHECK(bench.tune(again, by_splits).timed == 0);
    CHECK(chosen(again) == chosen(g));
  }
}

TEST_CASE("tuner: a product for which there is no memory keeps the model's kernel", "[tuner]") {
  Bench bench;
  Graph g = network();
  const std::string poor = g.nodes.front().op->product();
  const auto seconds = [&](const Operator& op) {
    if (op.product() == poor) throw OutOfMemory("too much");
    return by_splits(op);
  };
  bench.tune(g, seconds);
  CHECK(bench.told.size() == 2);
  CHECK(bench.was_told(poor + ": no room to time its kernels"));
  CHECK(g.nodes.front().op->choice() == g.nodes.front().op->choices(kEmulator).front());
  Graph again = network();
  CHECK(bench.tune(again, by_splits).timed == 0);
  CHECK(chosen(again) == chosen(g));
}

TEST_CASE("tuner: what ends timing", "[tuner]") {
  Bench bench;
  Graph g = network();
  CHECK_THROWS_AS(bench.tune(g, [](const Operator&) -> double { throw Interrupted("stopped"); }), Interrupted);
  CHECK_THROWS_AS(bench.tune(g, [](const Operator&) -> double { throw std::runtime_error("the model's"); }),
                  std::runtime_error);
  for (const bool model : {true, false}) {
    const auto lost = [&](const Operator& op) -> double {
      if ((op.choice() == op.choices(kEmulator).front()) == model) throw DeviceError("lost");
      return 1;
    };
    CHECK_THROWS_WITH(bench.tune(g, lost), Catch::Contains("lost") && Catch::Contains("use --conv untimed"));
    CHECK_THROWS_AS(bench.tune(g, lost), DeviceError);
  }
  CHECK_FALSE(fs::exists(bench.file));
}
