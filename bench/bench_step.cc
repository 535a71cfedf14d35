// Times whole training steps: drawing and warping, both passes, losses, optimiser.
//
//   bench_step [--device cpu|cuda|emulator] [--arch A] [--batch N] [--precision P] [--seconds S] [--json] [--profile]
//              [--conv handwritten|auto|untimed] [--kernel-cache FILE]
//
// On a card the kernels of the layers are chosen by timing them first, as in training (runtime/tuner.h); --conv says
// among which. Their times are kept for the next run only in the file that --kernel-cache names.
//
// gflops are those of convolutions and matrix products alone, counted from the shapes, over the time of the whole step.
//
// On the CPU the bare oneDNN products of the same layers alternate with the steps; onednn_ratio is their time over the
// step's: 1 would mean that everything else is free. On a card the yardstick is the floor (bench/step_floor.h) at what
// a large matrix product and a large copy reach in the same run. On the emulator it only rehearses: say --batch 1.
//
// --nvtx runs some steps node by node under a profiler's named ranges instead.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bench/card.h"
#include "bench/numbers.h"
#include "bench/step_case.h"
#include "nn/architecture.h"
#include "nn/preview.h"
#include "runtime/device.h"
#include "runtime/error.h"

namespace doppel::bench {
namespace {

struct Options {
  std::string device = "cpu", arch, precision, conv = "handwritten", kernel_cache;
  int batch = 0;
  double seconds = 10;
  bool json = false, profile = false, nvtx = false;
};

// Of a run on a card; on the CPU and the emulator nothing is timed.
Tuning tuning_of(const Options& o) {
  const std::string& file = o.kernel_cache;
  return named_tuning(o.conv, file.empty() ? "" : std::filesystem::absolute(file).string(), "bench_step: ");
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

std::string json_of(const StepCase& c, double step_flops) {
  return "\"arch\":\"" + c.arch + "\",\"batch\":" + std::to_string(c.batch) + ",\"precision\":\"" + c.precision +
         "\",\"step_flops\":" + std::to_string(std::llround(step_flops));
}

// ---- on the CPU -----------------------------------------------------------------------------------------------------

std::string json_of(const CpuResult& r) {
  char text[160];
  const bool compared = !std::isnan(r.onednn_ratio);
  std::snprintf(text, sizeof text, ",\"samples_per_s\":%.2f,\"gflops\":%.1f,\"onednn_ratio\":", r.samples_per_s,
                r.gflops);
  std::string json = "{" + json_of(r.what, r.flops) + text;
  std::snprintf(text, sizeof text, "%.3f", r.onednn_ratio);
  return json + (compared ? text : "null") + "}";
}

void print(const CpuResult& r) {
  std::printf("%-10s %3d+%-3d %10s %12.1f %9.0f %13.2f\n", r.what.arch.c_str(), r.what.batch, r.what.batch,
              r.what.precision.c_str(), r.samples_per_s, r.gflops, r.onednn_ratio);
  if (!r.nodes.empty()) print_nodes(r.nodes);
}

// ---- on a card ------------------------------------------------------------------------------------------------------

std::string json_of(const DeviceResult& r) {
  char text[640];
  std::snprintf(text, sizeof text,
                ",\"samples_per_s\":%.2f,\"gflops\":%.1f,\"ms\":%.4f,\"wall_ms\":%.4f,\"submit_ms\":%.4f,"
                "\"memory_bytes\":%zu,\"planned_bytes\":%zu,\"peak_tflops\":%.2f,\"peak_gb_per_s\":%.1f,"
                "\"arithmetic_floor_ms\":%.4f,\"memory_floor_ms\":%.4f,\"floor_ms\":%.4f,\"of_floor\":%.4f",
                2 * r.what.batch / r.seconds, r.flops / r.seconds * 1e-9, r.seconds * 1e3, r.wall * 1e3, r.submit * 1e3,
                r.memory, r.planned, r.peak.flops * 1e-12, r.peak.bytes * 1e-9, r.arithmetic_floor * 1e3,
                r.memory_floor * 1e3, r.floor * 1e3, r.floor / r.seconds);
  std::string json = "{\"device\":\"" + r.device + "\"," + json_of(r.what, r.flops) + text;
  if (!r.nodes.empty()) json += ",\"nodes\":[";
  for (const NodeTime& n : r.nodes) {
    std::snprintf(text, sizeof text,
                  "%s{\"name\":\"%s\",\"output\":\"%s\",\"kernel\":\"%s\",\"ms\":%.5f,\"gflops\":%.1f,"
                  "\"gb_per_s\":%.1f,\"of_floor\":%.4f}",
                  &n == &r.nodes.front() ? "" : ",", n.name.c_str(), n.output.c_str(), n.kernel.c_str(),
                  n.seconds * 1e3, n.flops / n.seconds * 1e-9, n.bytes / n.seconds * 1e-9, n.floor / n.seconds);
    json += text;
  }
  return json + (r.nodes.empty() ? "}" : "]}");
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

// The cases of a device, of those the ones asked for.
std::vector<StepCase> cases(const Options& o, Device device) {
  std::vector<StepCase> all;
  for (const char* arch : {"original", "lite"})
    for (const char* precision : {"bf16", "fp32"}) {
      if ((!o.arch.empty() && o.arch != arch) || (!o.precision.empty() && o.precision != precision)) continue;
      const int usual = device == Device::cuda        ? 64
                        : device == Device::emulator  ? 1
                        : std::string(arch) == "lite" ? 32
                                                      : 16;
      all.push_back({arch, o.batch > 0 ? o.batch : usual, precision});
    }
  return all;
}

// Prints each result when it is there, so that a run that is stopped leaves what it has measured.
template <typename Measure>
void print_all(const Options& o, Device device, Measure&& measure) {
  bool first = true;
  for (const StepCase& c : cases(o, device)) {
    const auto r = measure(c);
    if (o.json) {
      std::printf("%s%s", first ? "[" : ",\n ", json_of(r).c_str());
    } else {
      print(r);
    }
    first = false;
    std::fflush(stdout);
  }
  if (o.json) std::printf("%s]\n", first ? "[" : "");
}

void run_on_cpu(const Options& o) {
  if (!o.json)
    std::printf("%-10s %7s %10s %12s %9s %13s\n", "arch", "batch", "precision", "samples/s", "GFLOP/s", "of oneDNN");
  print_all(o, Device::cpu, [&](const StepCase& c) {
    if (c.precision == "bf16" && !has_bf16())
      std::fprintf(stderr, "this processor has no bf16 products: oneDNN emulates them\n");
    return measure_on_cpu(c, o.seconds, o.profile && !o.json);
  });
}

void run_on_device(const Options& o, Device device) {
  use_device(device);
  std::fprintf(stderr, "bench_step: %s\n", describe(device).c_str());
  const Peak peak = measured_peak(0.2, [](const KernelCase&, double) {});
  if (!o.json) {
    std::printf("peaks of this run: %.1f TFLOP/s, %.0f GB/s\n", peak.flops * 1e-12, peak.bytes * 1e-9);
    print_device_header();
  }
  print_all(o, device,
            [&](const StepCase& c) { return measure_on_device(c, device, tuning_of(o), peak, o.seconds, o.profile); });
}

int usage() {
  std::fprintf(stderr,
               "usage: bench_step [--device cpu|cuda|cuda:N|emulator] [--arch lite|original]\n"
               "                  [--batch SAMPLES_PER_PERSON] [--precision bf16|fp32] [--seconds S] [--json]\n"
               "                  [--profile] [--nvtx] [--conv handwritten|auto|untimed] [--kernel-cache FILE]\n");
  return 2;
}

int main_program(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string key = argv[i];
    const bool has_value = i + 1 < argc;
    if (key == "--json") {
      o.json = true;
    } else if (key == "--profile") {
      o.profile = true;
    } else if (key == "--nvtx") {
      o.nvtx = true;
    } else if (key == "--device" && has_value) {
      o.device = argv[++i];
    } else if (key == "--arch" && has_value) {
      o.arch = argv[++i];
    } else if (key == "--precision" && has_value) {
      o.precision = argv[++i];
    } else if (key == "--conv" && has_value) {
      o.conv = argv[++i];
    } else if (key == "--kernel-cache" && has_value) {
      o.kernel_cache = argv[++i];
    } else if (key == "--batch" && has_value) {
      o.batch = parse_batch(argv[++i]);
    } else if (key == "--seconds" && has_value) {
      o.seconds = parse_seconds(argv[++i]);
    } else {
      return usage();
    }
  }
  if (o.conv != "handwritten" && o.conv != "auto" && o.conv != "untimed") return usage();
  const Device device = choose_device(o.device);
  if (cases(o, device).empty()) return usage();
  if (o.nvtx) {
    for (const StepCase& c : cases(o, device)) run_with_ranges(c, device, tuning_of(o), 3);
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
  try {
    return doppel::bench::main_program(argc, argv);
  } catch (const doppel::UsageError& e) {
    std::fprintf(stderr, "bench_step: %s\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_step: %s\n", e.what());
    return 1;
  }
}
