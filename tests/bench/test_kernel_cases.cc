// What bench_kernels times of a layer: every pass, by the kernels that it says.
#include "bench/kernel_cases.h"

#include <catch2/catch.hpp>
#include <map>

#include "bench/card.h"
#include "bench/peak.h"
#include "runtime/kernel_cache.h"

using namespace doppel;
using namespace doppel::bench;

namespace {

constexpr Stream kEmulator{Device::emulator};

Layers small_layers() {
  Conv2d conv{1, 4, 4, 8, 8, 3, 3, 1, 1, 1, 1, 1, DType::bf16, DType::bf16};
  conv.groups = 2;
  conv.weight_stride = conv.weights();
  conv.bias_stride = conv.k;
  return {{{"2 x conv", conv, {Activation::leaky_relu, 0.1f, true}, true}, {"picture", conv, {}, false}},
          {{"dense", {2, 16, 8, DType::f32}}}};
}

// The choices of each "layer kernel", in order; every case is run.
std::map<std::string, std::vector<std::string>> visited(const Layers& layers, bool all) {
  use_device(Device::emulator);
  std::map<std::string, std::vector<std::string>> found;
  visit_layers(layers, all, [&](const KernelCase& c) {
    CHECK(c.by == "doppel");
    CHECK(c.bytes > 0);
    CHECK((c.flops > 0) == (c.kernel != "backward epilogue"));
    CHECK_NOTHROW(c.run(kEmulator));
    found[c.layer + " " + c.kernel].push_back(c.choice);
  });
  return found;
}

}  // namespace

TEST_CASE("bench kernels: a layer by what is taken by itself, or by all that can be chosen", "[bench][emulator]") {
  const Layers layers = small_layers();
  const auto by_itself = visited(layers, false), all = visited(layers, true);
  for (const Pass pass : kPasses) {
    const std::string name = name_of(pass);
    const auto same = [&](const std::string& work, const std::vector<KernelChoice>& choices) {
      INFO(work);
      std::vector<std::string> words;
      for (const KernelChoice& choice : choices) words.push_back(to_string(choice));
      CHECK(all.at(work) == words);
      CHECK(by_itself.at(work) == std::vector<std::string>{words.front()});
    };
    same("2 x conv " + name, conv2d_choices(layers.convs[0].conv, pass, kEmulator));
    same("dense dense " + name, dense_choices(layers.denses[0].dense, pass, kEmulator));
  }
  // No dgrad into pictures; backward epilogues have one kernel and no choice.
  CHECK_FALSE(by_itself.contains("picture dgrad"));
  CHECK_FALSE(all.contains("picture dgrad"));
  CHECK(by_itself.at("picture backward epilogue") == std::vector<std::string>{""});
  CHECK_FALSE(all.contains("picture backward epilogue"));
}

TEST_CASE("bench kernels: the peak is the fastest product's and the copy's, and says whose", "[bench][emulator]") {
  use_device(Device::emulator);
  double flops = 0, bytes = 0;
  std::vector<std::string> choices;
  std::string fastest;
  const Peak peak = measured_peak(0.001, [&](const KernelCase& c, double t) {
    REQUIRE(t > 0);
    if (c.kernel == "copy") {
      bytes = c.bytes / t;
      return;
    }
    CHECK(c.kernel == "product");
    CHECK(c.by == "doppel");
    CHECK(c.flops == 2.0 * 64 * 64 * 64);
    CHECK(c.bytes == 2.0 * 3 * 64 * 64);
    choices.push_back(c.choice);
    if (c.flops / t > flops) fastest = c.choice;
    flops = std::max(flops, c.flops / t);
  });
  // Without a library each of our kernels has its turn.
  std::vector<std::string> all;
  for (const KernelChoice& choice : dense_choices({64, 64, 64, DType::bf16}, Pass::fprop, kEmulator))
    all.push_back(to_string(choice));
  CHECK(choices == all);
  CHECK(all.size() > 1);
  CHECK(peak.flops == flops);
  CHECK(peak.bytes == bytes);
  CHECK(peak.by == "doppel, with bias, " + fastest + "; without cuBLASLt");
}
