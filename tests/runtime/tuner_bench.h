// What the tests of choosing kernels by timing share: a small network, times that are made up (the emulator's mean
// nothing), and a folder for the file that keeps them.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runtime/gradient.h"
#include "runtime/operators.h"
#include "runtime/tuner.h"

namespace doppel::testing {

constexpr Stream kEmulator{Device::emulator};

// A small network with its gradient; the second and the third convolution make the same products.
inline Graph network(DType type = DType::bf16) {
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
struct TunerBench {
  std::string folder = (std::filesystem::temp_directory_path() / ("doppel-tuner-" + std::to_string(getpid()))).string();
  std::string file = folder + "/deep/kernels.json";
  std::vector<std::string> told;
  std::string libraries;  // that are taken as being there
  int timed = 0;

  TunerBench() { std::filesystem::remove_all(folder); }
  ~TunerBench() { std::filesystem::remove_all(folder); }

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

inline double by_splits(const Operator& op) {
  return 1e-3 / op.choice().splits;
}
inline double by_fewest_splits(const Operator& op) {
  return 1e-3 * op.choice().splits;
}

inline double last_is_fastest(const Operator& op) {
  return op.choice() == op.choices(kEmulator).back() ? 1e-6 : 1e-3;
}

inline std::vector<KernelChoice> chosen(const Graph& g) {
  std::vector<KernelChoice> all;
  for (const Node& node : g.nodes)
    if (!node.op->product().empty()) all.push_back(node.op->choice());
  return all;
}

// The same network has the same kernels again, by the file and with no clock, whatever that would say now.
inline void check_kept(TunerBench& bench, const Graph& g, double (*seconds)(const Operator&)) {
  Graph again = network();
  CHECK(bench.tune(again, seconds).timed == 0);
  CHECK(chosen(again) == chosen(g));
}

}  // namespace doppel::testing
