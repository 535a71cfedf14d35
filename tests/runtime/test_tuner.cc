// Choosing kernels by timing: what is timed, what is kept, and what becomes of a file that is not as it should be. The
// times are made up here, since the emulator's mean nothing.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "kernels/device_error.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"
#include "runtime/gradient.h"
#include "runtime/json.h"
#include "runtime/kernel_cache.h"
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
  std::string libraries;  // that are taken as being there
  int timed = 0;

  Bench() { fs::remove_all(folder); }
  ~Bench() { fs::remove_all(folder); }

  Tuned tune(Graph& g, const std::function<double(const Operator&)>& seconds,
             Candidates candidates = Candidates::handwritten, Stream stream = kEmulator) {
    Tuning tuning;
    tuning.candidates = candidates;
    tuning.cache = file;
    tuning.libraries = libraries;
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

double last_is_fastest(const Operator& op) {
  return op.choice() == op.choices(kEmulator).back() ? 1e-6 : 1e-3;
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

namespace {

// A convolution that libraries can make, too: their algorithms 3, 1 and 7, of which the last needs too much memory.
class WithLibrary : public ConvOp {
 public:
  explicit WithLibrary(const Conv2d& conv, bool fails = false) : ConvOp(conv, {}), fails_(fails) {}
  std::vector<KernelChoice> choices(Stream stream) const override {
    if (stream.library == Library::doppel) return ConvOp::choices(stream);
    if (fails_) throw std::runtime_error("not this one");
    return {{KernelKind::vendor, 1, 3}, {KernelKind::vendor, 1, 1}, {KernelKind::vendor, 1, 7}};
  }
  std::shared_ptr<const Operator> with(const KernelChoice& choice) const override {
    auto op = std::make_shared<WithLibrary>(*this);
    op->choice_ = choice;
    return op;
  }
  KernelChoice choice() const override { return choice_; }
  size_t workspace(Stream) const override {
    const size_t most = kMostExtraWorkspace;
    return choice_.algorithm == 7 ? most + 1 : choice_.algorithm == 1 ? most : 0;
  }

 private:
  bool fails_;
  KernelChoice choice_;
};

Graph network_with_library(bool fails = false) {
  Graph g(std::make_shared<ParameterLayout>(), DType::bf16);
  const ValueId x = g.value("x", {1, 4, 4, 8}, DType::bf16, Role::kept);
  conv2d(g, x, "conv", {.filters = 8});
  g.nodes.front().op = std::make_shared<WithLibrary>(dynamic_cast<const ConvOp&>(*g.nodes.front().op).conv(), fails);
  return g;
}

}  // namespace

TEST_CASE("tuner: a library's algorithms are timed one by one, and hold for its version", "[tuner]") {
  Bench bench;
  const auto tune = [&](const std::string& libraries, const auto& seconds, Candidates candidates = Candidates::all) {
    bench.libraries = libraries;
    Graph g = network_with_library();
    bench.tune(g, seconds, candidates);
    return g.nodes.front().op->choice();
  };
  const auto algorithm_is_fast = [](int number) {
    return [=](const Operator& op) {
      CHECK(op.choice().algorithm != 7);
      return op.choice() == KernelChoice{KernelKind::vendor, 1, number} ? 1e-6 : 1e-3;
    };
  };
  const int own = int(network_with_library().nodes.front().op->choices(kEmulator).size());
  CHECK(tune("cuDNN 1", algorithm_is_fast(1)) == KernelChoice{KernelKind::vendor, 1, 1});
  CHECK(bench.timed == own + 2);
  const Json times = Json::parse(read_file(bench.file), bench.file);
  CHECK(times.at("libraries").text() == "cuDNN 1");
  CHECK(times.at("microseconds").members().front().second.at("vendor:1").number() == 1);
  CHECK(times.at("microseconds").members().front().second.at("vendor:3").number() == 1000);
  // Kept, but for `handwritten`, which neither takes them nor loses them.
  CHECK(tune("cuDNN 1", algorithm_is_fast(3)) == KernelChoice{KernelKind::vendor, 1, 1});
  CHECK(bench.timed == 0);
  CHECK(tune("cuDNN 1", algorithm_is_fast(3), Candidates::handwritten).kernel != KernelKind::vendor);
  CHECK(bench.timed == 0);
  CHECK(tune("cuDNN 1", algorithm_is_fast(3)) == KernelChoice{KernelKind::vendor, 1, 1});
  // Another version's algorithms are other ones; our own kernels stay what they are.
  CHECK(tune("cuDNN 2", algorithm_is_fast(3)) == KernelChoice{KernelKind::vendor, 1, 3});
  CHECK(bench.timed == 2);
  CHECK(Json::parse(read_file(bench.file), bench.file).at("libraries").text() == "cuDNN 2");
  CHECK(bench.told.size() == 1);
}

TEST_CASE("tuner: times of `handwritten` keep the libraries' in the file", "[tuner]") {
  Bench bench;
  bench.libraries = "cuDNN 1";
  Graph first = network_with_library(), own = network(), again = network_with_library();
  bench.tune(first, by_splits, Candidates::all);
  CHECK(bench.tune(own, by_splits).timed > 0);
  CHECK(bench.tune(again, by_splits, Candidates::all).timed == 0);
}

TEST_CASE("tuner: a product that the libraries do not have is told, and is ours", "[tuner]") {
  Bench bench;
  bench.libraries = "cuDNN 1";
  Graph g = network_with_library(true);
  bench.tune(g, by_splits, Candidates::all);
  CHECK(bench.told.size() == 2);
  CHECK(bench.was_told("not by a library: not this one"));
  CHECK(g.nodes.front().op->choice().kernel != KernelKind::vendor);
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
                        {changed("\"format\": 2", "\"format\": 1"), false},
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

TEST_CASE("tuner: candidates by their names", "[tuner]") {
  CHECK(named_tuning("handwritten", "file", "").candidates == Candidates::handwritten);
  CHECK(named_tuning("auto", "file", "").candidates == Candidates::all);
  CHECK(named_tuning("untimed", "file", "").candidates == Candidates::untimed);
  CHECK(named_tuning("auto", "file", "").cache == "file");
  CHECK_THROWS_AS(named_tuning("fastest", "file", ""), UsageError);
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
    Graph again = network();
    CHECK(bench.tune(again, by_splits).timed == 0);
    CHECK(chosen(again) == chosen(g));
  }
}

TEST_CASE("tuner: a product for which there is no memory keeps the model's kernel until the next run", "[tuner]") {
  Bench bench;
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
  Graph again = network();
  CHECK(bench.tune(again, by_fewest_splits).timed == 0);
  CHECK(chosen(again) == chosen(g));
}

TEST_CASE("tuner: a kernel that has no room is left out until the next run", "[tuner]") {
  Bench bench;
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
  Bench bench;
  Graph g = network();
  CHECK_THROWS_AS(bench.tune(g, [](const Operator&) -> double { throw Interrupted("stopped"); }), Interrupted);
  CHECK_THROWS_AS(bench.tune(g, [](const Operator&) -> double { throw std::runtime_error("the model's"); }),
                  std::runtime_error);
  CHECK_FALSE(fs::exists(bench.file));
}

TEST_CASE("tuner: a device that fails is told with the kernel that was tried", "[tuner]") {
  Bench bench;
  Graph g = network();
  const auto lost = [](const Operator&) -> double { throw DeviceError("lost"); };
  for (int run = 0; run < 2; ++run) {  // the second knows of the first, and has nothing else to begin with
    CHECK_THROWS_AS(bench.tune(g, lost), DeviceError);
    CHECK(bench.was_told("the last start ended while") == (run == 1));
    CHECK(bench.timed == 1);
  }
  CHECK_THROWS_WITH(bench.tune(g, lost),
                    Catch::Contains("lost; kernels were being timed, ") && Catch::EndsWith("; use --conv untimed"));
}

TEST_CASE("tuner: a kernel in whose trial the device failed is left out by the next start", "[tuner]") {
  Bench bench;
  Graph g = network();
  const std::string product = g.nodes.front().op->product();
  const KernelChoice bad = g.nodes.front().op->choices(kEmulator).back();
  REQUIRE(g.nodes.front().op->choices(kEmulator).size() > 2);
  // It would be chosen.
  const auto one_fails = [&](const Operator& op) {
    if (op.product() == product && op.choice() == bad) throw DeviceError("lost");
    return last_is_fastest(op);
  };
  CHECK_THROWS_WITH(bench.tune(g, one_fails), Catch::Contains(to_string(bad) + " for " + product) &&
                                                  Catch::Contains("start again, which leaves that one out"));
  const int first = bench.timed;
  REQUIRE(first > 1);
  REQUIRE(fs::exists(bench.file + ".trying"));
  Graph again = network(), all = network();
  bench.tune(again, one_fails);
  const int second = bench.timed;
  CHECK(bench.was_told(product + ": the last start ended while " + to_string(bad) + " was tried; left out"));
  CHECK(again.nodes.front().op->choice() != bad);
  CHECK_FALSE(fs::exists(bench.file + ".trying"));
  // What had been timed before it was kept.
  Graph third = network();
  CHECK(bench.tune(third, one_fails).timed == 0);
  CHECK(bench.told.empty());
  CHECK(chosen(third) == chosen(again));
  fs::remove(bench.file);
  CHECK(bench.tune(all, last_is_fastest).timed == first + second);
}

TEST_CASE("tuner: a kernel that never comes back is left out once its process was killed", "[tuner]") {
  Bench bench;
  Graph g = network();
  const std::string product = g.nodes.front().op->product();
  const KernelChoice bad = g.nodes.front().op->choices(kEmulator).back();
  const pid_t child = fork();
  if (child == 0) {
    bench.tune(g, [&](const Operator& op) {
      if (op.product() == product && op.choice() == bad) kill(getpid(), SIGKILL);
      return last_is_fastest(op);
    });
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  bench.tune(g, last_is_fastest);
  CHECK(bench.was_told(product + ": the last start ended while " + to_string(bad) + " was tried; left out"));
  CHECK(g.nodes.front().op->choice() != bad);
  CHECK(g.nodes.front().op->choice() != KernelChoice{});
}

TEST_CASE("tuner: another process that is timing is not taken for a dead one", "[tuner]") {
  Bench bench;
  bool nested = false;
  const auto another_starts = [&](const Operator& op) {
    if (!nested) {
      nested = true;
      Tuning tuning;
      tuning.candidates = Candidates::handwritten;
      tuning.cache = bench.file;
      tuning.tell = [](const std::string& line) { CHECK(line.find("the last start ended") == std::string::npos); };
      tuning.seconds = last_is_fastest;
      Graph theirs = network();
      choose_kernels(theirs, kEmulator, tuning);
      CHECK(fs::exists(bench.file + ".trying"));
    }
    return last_is_fastest(op);
  };
  Graph g = network();
  bench.tune(g, another_starts);
  CHECK(nested);
  CHECK_FALSE(fs::exists(bench.file + ".trying"));
}

TEST_CASE("tuner: a trial of other kernels or of another device says nothing, nor one that was cut off", "[tuner]") {
  Bench bench;
  fs::create_directories(fs::path(bench.file).parent_path());
  Graph g = network();
  const std::string product = g.nodes.front().op->product(), bad = to_string(g.nodes.front().op->choices(kEmulator)[1]);
  for (const std::string& text :
       {"emulator 0123456789abcdef\n" + product + "\n" + bad + "\nchosen\n", std::string("emulator"), std::string()}) {
    fs::remove(bench.file);
    write_file(bench.file + ".trying", text);
    bench.tune(g, by_splits);
    CHECK(bench.told.size() == 1);
    CHECK_FALSE(fs::exists(bench.file + ".trying"));
  }
}
