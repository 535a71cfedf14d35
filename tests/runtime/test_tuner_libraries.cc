// Choosing kernels by timing where cuDNN and cuBLASLt may take part. A library stands in for them that has its times
// only.
#include <stdexcept>

#include "runtime/atomic_file.h"
#include "runtime/json.h"
#include "runtime/matrix_operators.h"
#include "runtime/tuner_bench.h"

using namespace doppel;
using namespace doppel::testing;

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

TEST_CASE("tuner: without cuDNN `all` are our own, and one line says so", "[tuner]") {
  TunerBench bench;
  Graph own = network(), all = network();
  bench.tune(own, by_splits);
  CHECK(bench.tune(all, by_splits, Candidates::all).timed == 0);
  CHECK(bench.told.size() == 1);
  CHECK(bench.was_told("cuDNN and cuBLASLt are left out"));
  CHECK(chosen(all) == chosen(own));
}

TEST_CASE("tuner: a library's algorithms are timed one by one, and hold for its version", "[tuner]") {
  TunerBench bench;
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
  TunerBench bench;
  bench.libraries = "cuDNN 1";
  Graph first = network_with_library(), own = network(), again = network_with_library();
  bench.tune(first, by_splits, Candidates::all);
  CHECK(bench.tune(own, by_splits).timed > 0);
  CHECK(bench.tune(again, by_splits, Candidates::all).timed == 0);
}

TEST_CASE("tuner: a product that the libraries do not have is told, and is ours", "[tuner]") {
  TunerBench bench;
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
