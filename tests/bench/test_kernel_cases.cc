// What bench_kernels times of a layer: every pass, by the kernels that it says.
#include "bench/kernel_cases.h"

#include <catch2/catch.hpp>
#include <map>

#include "bench/card.h"
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
