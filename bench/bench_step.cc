// Times whole training steps and, alternating with them, the bare oneDNN products of the same layers.
//
//   bench_step [--arch A] [--batch N] [--precision P] [--seconds S] [--json] [--profile]
//
// samples_per_s and gflops count everything a step does (drawing and warping, losses, optimiser, layout changes);
// gflops are those of convolutions and matrix products alone, counted from the shapes. onednn_ratio is the time of the
// bare products over the time of the step: 1 would mean that everything else is free.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "bench/bare_onednn.h"
#include "kernels/philox.h"
#include "nn/swapper.h"
#include "nn/trainer.h"
#include "runtime/error.h"

namespace doppel::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Case {
  std::string arch;
  int batch;  // per person
  std::string precision;
};

struct Result {
  Case what;
  double samples_per_s, gflops, onednn_ratio;
};

template <typename Body>
double seconds(Body&& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

// Faces of noise: timing does not depend on what they show.
std::vector<uint8_t> noise_faces(int faces, int size) {
  std::vector<uint8_t> pixels(size_t(faces) * size_t(size) * size_t(size) * 3);
  Random random(1, 0, 0);
  for (size_t i = 0; i + 4 <= pixels.size(); i += 4) {
    const uint32_t bits = random.bits();
    std::memcpy(&pixels[i], &bits, 4);
  }
  return pixels;
}

void print_profile(Trainer& trainer) {
  Program& program = trainer.training_step().program();
  const auto& nodes = program.graph().nodes;
  std::vector<std::vector<double>> times(nodes.size());
  for (int round = 0; round < 9; ++round) {
    const std::vector<double> one = program.run_timed();
    for (size_t i = 0; i < nodes.size(); ++i) times[i].push_back(one[i]);
  }
  std::map<std::string, double> by_kind;
  double total = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const double t = median(times[i]), flops = nodes[i].op->flops();
    const Value& out = program.graph()[nodes[i].out.front()];
    std::printf("%8.3f ms %7.0f GFLOP/s  %-24s %s %s\n", t * 1e3, flops / t * 1e-9, nodes[i].op->name().c_str(),
                out.name.c_str(), to_string(out.shape).c_str());
    by_kind[nodes[i].op->name()] += t;
    total += t;
  }
  for (const auto& [kind, t] : by_kind) std::printf("%8.3f ms  %5.1f %%  %s\n", t * 1e3, 100 * t / total, kind.c_str());
}

Result measure(const Case& c, double budget, bool profile) {
  const Architecture arch = architecture(c.arch);
  ModelDescription m;
  m.architecture = c.arch;
  m.people = {"a", "b"};
  m.face_size = arch.warp.face_size;
  m.coverage = 1;
  m.batch = c.batch;
  m.lr = arch.lr;
  m.seed = 1;
  m.precision = c.precision;
  const int faces = 32;
  const std::vector<uint8_t> pixels = noise_faces(faces, m.face_size);
  Trainer trainer(m, {{"a", faces, pixels.data()}, {"b", faces, pixels.data()}}, {});

  // The bare products see the forward nodes of the very graph that trains.
  auto bare = bare_products(trainer.training_step().program().graph());
  const auto run_bare = [&] {
    for (auto& call : bare) call();
  };
  for (int i = 0; i < 3; ++i) {
    trainer.step();
    run_bare();
  }
  std::vector<double> step_times, ratios;
  const auto start = Clock::now();
  while (step_times.size() < 5 || std::chrono::duration<double>(Clock::now() - start).count() < budget) {
    const double step = seconds([&] { trainer.step(); });
    const double products = seconds(run_bare);
    step_times.push_back(step);
    ratios.push_back(products / step);
  }
  if (profile) print_profile(trainer);
  const double t = median(step_times);
  return {c, 2 * c.batch / t, trainer.training_step().flops() / t * 1e-9, median(ratios)};
}

int main_program(int argc, char** argv) {
  std::string arch, precision;
  int batch = 0;
  double budget = 10;
  bool json = false, profile = false;
  for (int i = 1; i < argc; ++i) {
    const std::string key = argv[i];
    const bool has_value = i + 1 < argc;
    if (key == "--json") {
      json = true;
    } else if (key == "--profile") {
      profile = true;
    } else if (key == "--arch" && has_value) {
      arch = argv[++i];
    } else if (key == "--precision" && has_value) {
      precision = argv[++i];
    } else if (key == "--batch" && has_value) {
      batch = std::atoi(argv[++i]);
    } else if (key == "--seconds" && has_value) {
      budget = std::atof(argv[++i]);
    } else {
      std::fprintf(stderr,
                   "usage: bench_step [--arch lite|original] [--batch SAMPLES_PER_PERSON] [--precision bf16|fp32]\n"
                   "                  [--seconds S] [--json] [--profile]\n");
      return 2;
    }
  }
  std::vector<Result> results;
  for (const Case& standard : {Case{"original", 16, "bf16"}, Case{"original", 16, "fp32"}, Case{"lite", 32, "bf16"},
                               Case{"lite", 32, "fp32"}}) {
    Case c = standard;
    if ((!arch.empty() && c.arch != arch) || (!precision.empty() && c.precision != precision)) continue;
    if (batch > 0) c.batch = batch;
    if (c.precision == "bf16" && !has_bf16())
      std::fprintf(stderr, "this processor has no bf16 products: oneDNN emulates them\n");
    results.push_back(measure(c, budget, profile));
  }
  if (json)
    std::printf("[");
  else
    std::printf("%-10s %7s %10s %12s %9s %13s\n", "arch", "batch", "precision", "samples/s", "GFLOP/s", "of oneDNN");
  for (size_t i = 0; i < results.size(); ++i) {
    const Result& r = results[i];
    if (json)
      std::printf(
          "%s{\"arch\":\"%s\",\"batch\":%d,\"precision\":\"%s\",\"samples_per_s\":%.2f,\"gflops\":%.1f,"
          "\"onednn_ratio\":%.3f}",
          i ? ",\n " : "", r.what.arch.c_str(), r.what.batch, r.what.precision.c_str(), r.samples_per_s, r.gflops,
          r.onednn_ratio);
    else
      std::printf("%-10s %3d+%-3d %10s %12.1f %9.0f %13.2f\n", r.what.arch.c_str(), r.what.batch, r.what.batch,
                  r.what.precision.c_str(), r.samples_per_s, r.gflops, r.onednn_ratio);
  }
  if (json) std::printf("]\n");
  return 0;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  try {
    return doppel::bench::main_program(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_step: %s\n", e.what());
    return 1;
  }
}
