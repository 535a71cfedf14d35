// Times whole training steps: drawing and warping, both passes, losses, optimiser.
//
// On a card the kernels of the layers are chosen by timing them first, as in training (runtime/tuner.h); their times
// are kept for the next run only in the file that --kernel-cache names.
//
// gflops are those of convolutions and matrix products alone, counted from the shapes, over the time of the whole step.
//
// On the CPU the bare oneDNN products of the same layers alternate with the steps; onednn_ratio is their time over the
// step's: 1 would mean that everything else is free. On a card the yardstick is the floor (bench/step_floor.h) at what
// a large matrix product and a large copy reach in the same run. On the emulator it only rehearses: say --batch 1.
//
// --nvtx runs some steps node by node under a profiler's named ranges instead. --help has all options.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "bench/card.h"
#include "bench/options.h"
#include "bench/program.h"
#include "bench/step_case.h"
#include "nn/architecture.h"
#include "nn/preview.h"
#include "runtime/device.h"
#include "runtime/tuner.h"

namespace doppel::bench {
namespace {

struct Request {
  std::string device = "cpu", arch, precision, conv = "handwritten", kernel_cache;
  int batch = 0;
  double seconds = 10;
  bool json = false, profile = false, nvtx = false;
};

// Of a run on a card; on the CPU and the emulator nothing is timed.
Tuning tuning_of(const Request& o) {
  return named_tuning(o.conv, o.kernel_cache, tell_line);
}

void print_nodes(const std::vector<NodeTime>& nodes) {
  std::map<std::string, double> by_kind;
  double total = 0;
  for (const NodeTime& n : nodes) {
    std::printf("%8.3f ms %7.0f GFLOP/s  %-24s %s\n", n.seconds * 1e3, n.flops / n.seconds * 1e-9, n.name.c_str(),
                n.output.c_str());
    by_kind[n.name] += n.seconds;
    total += n.seconds;
  }
  for (const auto& [kind, t] : by_kind) std::printf("%8.3f ms  %5.1f %%  %s\n", t * 1e3, 100 * t / total, kind.c_str());
}

// The slowest first, against the floor.
void print_sorted_nodes(std::vector<NodeTime> nodes) {
  std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  double total = 0;
  for (const NodeTime& n : nodes) total += n.seconds;
  std::printf("%10s %6s %10s %8s %9s  %-17s %s\n", "ms", "%", "GFLOP/s", "GB/s", "of floor", "kernel", "node");
  for (const NodeTime& n : nodes)
    std::printf("%10.4f %6.1f %10.0f %8.0f %8.1f%%  %-17s %-24s %s\n", n.seconds * 1e3, 100 * n.seconds / total,
                n.flops / n.seconds * 1e-9, n.bytes / n.seconds * 1e-9, 100 * n.floor / n.seconds, n.kernel.c_str(),
                n.name.c_str(), n.output.c_str());
}

Json json_of(const StepCase& c, double step_flops) {
  Json j = Json::object();
  j.set("arch", c.arch).set("batch", c.batch).set("precision", c.precision);
  return j.set("step_flops", rounded(step_flops, 0));
}

// ---- on the CPU -----------------------------------------------------------------------------------------------------

Json json_of(const CpuResult& r) {
  Json j = json_of(r.what, r.flops);
  j.set("samples_per_s", rounded(r.samples_per_s, 2)).set("gflops", rounded(r.gflops, 1));
  return j.set("onednn_ratio", std::isnan(r.onednn_ratio) ? Json() : rounded(r.onednn_ratio, 3));
}

void print(const CpuResult& r) {
  std::printf("%-10s %3d+%-3d %10s %12.1f %9.0f %13.2f\n", r.what.arch.c_str(), r.what.batch, r.what.batch,
              r.what.precision.c_str(), r.samples_per_s, r.gflops, r.onednn_ratio);
  if (!r.nodes.empty()) print_nodes(r.nodes);
}

// ---- on a card ------------------------------------------------------------------------------------------------------

Json json_of(const NodeTime& n) {
  Json j = Json::object();
  j.set("name", n.name).set("output", n.output).set("kernel", n.kernel).set("ms", rounded(n.seconds * 1e3, 5));
  j.set("gflops", rounded(n.flops / n.seconds * 1e-9, 1)).set("gb_per_s", rounded(n.bytes / n.seconds * 1e-9, 1));
  return j.set("of_floor", rounded(n.floor / n.seconds, 4));
}

Json json_of(const DeviceResult& r) {
  Json j = json_of(r.what, r.flops);
  j.set("device", r.device).set("samples_per_s", rounded(2 * r.what.batch / r.seconds, 2));
  j.set("gflops", rounded(r.flops / r.seconds * 1e-9, 1)).set("ms", rounded(r.seconds * 1e3, 4));
  j.set("wall_ms", rounded(r.wall * 1e3, 4)).set("submit_ms", rounded(r.submit * 1e3, 4));
  j.set("memory_bytes", r.memory).set("planned_bytes", r.planned);
  j.set("peak_tflops", rounded(r.peak.flops * 1e-12, 2)).set("peak_gb_per_s", rounded(r.peak.bytes * 1e-9, 1));
  j.set("peak_by", r.peak.by);
  j.set("arithmetic_floor_ms", rounded(r.arithmetic_floor * 1e3, 4));
  j.set("memory_floor_ms", rounded(r.memory_floor * 1e3, 4)).set("floor_ms", rounded(r.floor * 1e3, 4));
  j.set("of_floor", rounded(r.floor / r.seconds, 4));
  if (r.nodes.empty()) return j;
  Json nodes = Json::array();
  for (const NodeTime& n : r.nodes) nodes.push(json_of(n));
  return j.set("nodes", std::move(nodes));
}

void print(const DeviceResult& r) {
  std::printf("%-10s %3d+%-3d %6s %10.3f %10.3f %10.3f %12.1f %9.1f %9.3f %8.1f%% %10zu %10zu\n", r.what.arch.c_str(),
              r.what.batch, r.what.batch, r.what.precision.c_str(), r.seconds * 1e3, (r.wall - r.seconds) * 1e3,
              r.submit * 1e3, 2 * r.what.batch / r.seconds, r.flops / r.seconds * 1e-12, r.floor * 1e3,
              100 * r.floor / r.seconds, r.memory >> 20, r.planned >> 20);
  if (!r.nodes.empty()) print_sorted_nodes(r.nodes);
}

void print_device_header() {
  std::printf("%-10s %7s %6s %10s %10s %10s %12s %9s %9s %9s %10s %10s\n", "arch", "batch", "type", "ms", "gap ms",
              "submit ms", "samples/s", "TFLOP/s", "floor ms", "of floor", "MiB", "planned");
}

// ---- the program ----------------------------------------------------------------------------------------------------

// As the usual training on that device has them.
int usual_batch(const std::string& arch, Device device) {
  if (device == Device::cuda) return 64;
  if (device == Device::emulator) return 1;
  return arch == "lite" ? 32 : 16;
}

// Those of all cases that were asked for.
std::vector<StepCase> cases(const Request& o, Device device) {
  std::vector<StepCase> all;
  for (const char* arch : {"original", "lite"})
    for (const char* precision : {"bf16", "fp32"}) {
      if ((!o.arch.empty() && o.arch != arch) || (!o.precision.empty() && o.precision != precision)) continue;
      all.push_back({arch, o.batch > 0 ? o.batch : usual_batch(arch, device), precision});
    }
  return all;
}

// Prints each result when it is there.
template <typename Measure>
void print_all(const Request& o, Device device, Measure&& measure) {
  JsonList list;
  for (const StepCase& c : cases(o, device)) {
    stop_if_asked();
    const auto r = measure(c);
    if (o.json) {
      list.add(json_of(r));
    } else {
      print(r);
      flush_results();
    }
  }
  if (o.json) list.end();
}

void run_on_cpu(const Request& o) {
  if (!o.json)
    std::printf("%-10s %7s %10s %12s %9s %13s\n", "arch", "batch", "precision", "samples/s", "GFLOP/s", "of oneDNN");
  print_all(o, Device::cpu, [&](const StepCase& c) {
    if (c.precision == "bf16" && !has_bf16()) tell("this processor has no bf16 products: oneDNN emulates them");
    return measure_on_cpu(c, o.seconds, o.profile && !o.json);
  });
}

void run_on_device(const Request& o, Device device) {
  use_device(device);
  tell_line(describe(device));
  const Peak peak = measured_peak(0.2, [](const KernelCase&, double) {});
  if (!o.json) {
    std::printf("peaks of this run: %.1f TFLOP/s (%s), %.0f GB/s (a copy)\n", peak.flops * 1e-12, peak.by.c_str(),
                peak.bytes * 1e-9);
    print_device_header();
  }
  print_all(o, device,
            [&](const StepCase& c) { return measure_on_device(c, device, tuning_of(o), peak, o.seconds, o.profile); });
}

int run(int argc, char** argv) {
  Request o;
  Options options("bench_step",
                  "Times whole training steps on faces of noise: drawing and warping, both passes, losses, optimiser.");
  options.text("--device", "cpu|cuda|cuda:N|emulator", o.device, "Where; the emulator only rehearses");
  options.choice("--arch", architecture_names(), o.arch, "This one alone");
  options.choice("--precision", {"bf16", "fp32"}, o.precision, "This one alone");
  options.number("--batch", "N", 1, kMostBatch, o.batch,
                 "Samples of each of two people [64 on a card, on the CPU 32 of lite and 16 of original, 1 emulated]");
  options.number("--seconds", "S", kLeastSeconds, kMostSeconds, o.seconds, "For how long each case is measured");
  options.choice("--conv", {std::begin(kCandidateNames), std::end(kCandidateNames)}, o.conv,
                 "Among which kernels a card's are chosen, as in doppel train");
  options.text("--kernel-cache", "FILE", o.kernel_cache, "Keeps the times of a card's kernels for the next run");
  options.flag("--profile", o.profile, "Also the time of every node");
  options.flag("--nvtx", o.nvtx, "Runs some steps node by node under a profiler's named ranges, and times nothing");
  options.flag("--json", o.json, "A list of objects instead of a table");
  if (!options.parse(argc, argv)) return 0;
  const Device device = choose_device(o.device);
  if (o.nvtx) {
    for (const StepCase& c : cases(o, device)) {
      stop_if_asked();
      run_with_ranges(c, device, tuning_of(o), 3);
    }
  } else if (device == Device::cpu) {
    run_on_cpu(o);
  } else {
    run_on_device(o, device);
  }
  return 0;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  return doppel::bench::run_program("bench_step", argc, argv, doppel::bench::run);
}
