// Times every CUDA kernel at the layer shapes of the architectures on a card, next to cuDNN and cuBLASLt where they are
// there, and says how close each comes to what the card can do, measured in the same run.
//
//   bench_kernels [--device cuda|emulator] [--arch A] [--batch N] [--precision P] [--only TEXT] [--seconds S] [--json]
//
// Without a card it says so and has nothing to do. On the emulator it only rehearses: give it --batch 1 and --only.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "bench/card.h"
#include "bench/kernel_cases.h"
#include "bench/numbers.h"
#include "nn/architecture.h"
#include "runtime/device.h"
#include "runtime/error.h"

namespace doppel::bench {
namespace {

struct Options {
  std::string device = "cuda", arch, precision, only;
  int batch = 64;
  double seconds = 0.2;  // of each kernel
  bool json = false;
};

class Table {
 public:
  explicit Table(const Options& options) : options_(options) {}

  void measure_peak() {
    std::vector<std::pair<KernelCase, double>> seen;
    peak_ = measured_peak(options_.seconds, [&](const KernelCase& c, double t) { seen.emplace_back(c, t); });
    for (const auto& [c, t] : seen) row("", 0, "bf16", c, t);
  }

  void measure(const std::string& arch, DType type) {
    visit_kernels(arch, options_.batch, type, [&](const KernelCase& c) {
      measure(arch, options_.batch, type == DType::bf16 ? "bf16" : "fp32", c);
    });
  }
  void measure_frames() {
    visit_frames([&](const KernelCase& c) { measure("", 1, "", c); });
  }

  bool failed() const { return failed_; }
  void end() const {
    if (options_.json) std::printf("%s]\n", headed_ ? "" : "[");
  }

 private:
  void measure(const std::string& arch, int batch, const std::string& precision, const KernelCase& c) {
    const std::string name = c.layer + " " + c.kernel + " " + c.by;
    if (name.find(options_.only) == std::string::npos) return;
    try {
      row(arch, batch, precision, c, time_on_card(c.run, options_.seconds));
    } catch (const std::runtime_error& e) {
      failed_ = true;
      std::fprintf(stderr, "bench_kernels: %s, %s: %s\n", arch.c_str(), name.c_str(), e.what());
    }
  }

  // `of_peak`: the least time that the kernel's operations and bytes take at the measured peaks, over its time.
  void row(const std::string& arch, int batch, const std::string& precision, const KernelCase& c, double t) {
    const double least =
        std::max(peak_.flops > 0 ? c.flops / peak_.flops : 0, peak_.bytes > 0 ? c.bytes / peak_.bytes : 0);
    if (options_.json) {
      std::printf(
          "%s{\"arch\":\"%s\",\"batch\":%d,\"precision\":\"%s\",\"layer\":\"%s\",\"kernel\":\"%s\",\"by\":\"%s\","
          "\"ms\":%.5f,\"tflops\":%.3f,\"gb_per_s\":%.2f,\"of_peak\":%.4f}",
          headed_ ? ",\n " : "[", arch.c_str(), batch, precision.c_str(), c.layer.c_str(), c.kernel.c_str(),
          c.by.c_str(), t * 1e3, c.flops / t * 1e-12, c.bytes / t * 1e-9, least / t);
      headed_ = true;
      std::fflush(stdout);  // a run that is stopped leaves what it has measured
      return;
    }
    if (!headed_)
      std::printf("%-9s %-22s %-24s %-9s %-5s %10s %9s %9s %8s\n", "arch", "layer", "kernel", "by", "type", "ms",
                  "TFLOP/s", "GB/s", "of peak");
    headed_ = true;
    std::printf("%-9s %-22s %-24s %-9s %-5s %10.4f %9.1f %9.0f %7.1f%%\n", arch.c_str(), c.layer.c_str(),
                c.kernel.c_str(), c.by.c_str(), precision.c_str(), t * 1e3, c.flops / t * 1e-12, c.bytes / t * 1e-9,
                100 * least / t);
    std::fflush(stdout);
  }

  Options options_;
  Peak peak_;
  bool headed_ = false, failed_ = false;
};

int usage() {
  std::fprintf(stderr,
               "usage: bench_kernels [--device cuda|emulator] [--arch lite|original] [--batch SAMPLES_PER_PERSON]\n"
               "                     [--precision bf16|fp32] [--only TEXT] [--seconds S_PER_KERNEL] [--json]\n");
  return 2;
}

int main_program(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string key = argv[i];
    if (key == "--json") {
      o.json = true;
      continue;
    }
    if (++i == argc) return usage();
    if (key == "--device")
      o.device = argv[i];
    else if (key == "--arch")
      o.arch = argv[i];
    else if (key == "--precision")
      o.precision = argv[i];
    else if (key == "--only")
      o.only = argv[i];
    else if (key == "--batch")
      o.batch = parse_batch(argv[i]);
    else if (key == "--seconds")
      o.seconds = parse_seconds(argv[i]);
    else
      return usage();
  }
  if ((o.device != "cuda" && o.device != "emulator") ||
      (!o.precision.empty() && o.precision != "bf16" && o.precision != "fp32"))
    return usage();
  if (!o.arch.empty()) architecture(o.arch);
  if (const std::string problem = o.device == "cuda" ? card_problem() : ""; !problem.empty()) {
    std::fprintf(stderr, "bench_kernels: no card to measure on: %s\n", problem.c_str());
    if (o.json) std::printf("[]\n");
    return 0;
  }
  use_device(choose_device(o.device));
  std::fprintf(stderr, "bench_kernels: %s\n", describe(device_in_use()).c_str());
  Table table(o);
  table.measure_peak();
  for (const std::string& arch : architecture_names())
    for (const DType type : {DType::bf16, DType::f32}) {
      if ((!o.arch.empty() && arch != o.arch) ||
          (!o.precision.empty() && (o.precision == "bf16") != (type == DType::bf16)))
        continue;
      table.measure(arch, type);
    }
  table.measure_frames();
  table.end();
  return table.failed() ? 1 : 0;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  try {
    return doppel::bench::main_program(argc, argv);
  } catch (const doppel::UsageError& e) {
    std::fprintf(stderr, "bench_kernels: %s\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_kernels: %s\n", e.what());
    return 1;
  }
}
