// Times every CUDA kernel at the layer shapes of the architectures on a card, next to cuDNN and cuBLASLt where they are
// there, and says how close each comes to what the card can do, measured in the same run.
//
//   bench_kernels [--device cuda|emulator] [--arch lite|original|df-ud256] [--batch N] [--precision P] [--choices]
//                 [--only TEXT] [--seconds S] [--json]
//
// --choices times everything that a layer's pass can be computed by, and nothing else; df-ud256, which has convolutions
// and dense layers alone, only when it is named. Without a card it says so and has nothing to do. On the emulator it
// only rehearses: give it --batch 1 and --only.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "bench/card.h"
#include "bench/kernel_cases.h"
#include "bench/numbers.h"
#include "nn/architecture.h"
#include "runtime/device.h"
#include "runtime/error.h"

namespace doppel::bench {
namespace {

constexpr const char* kDf = "df-ud256";

struct Options {
  std::string device = "cuda", arch, precision, only;
  int batch = 0;         // 0: the architecture's
  double seconds = 0.2;  // of each kernel
  bool choices = false, json = false;
};

// As at home: 64 a person, of a DF network 8.
int batch_of(const Options& o, const std::string& arch) {
  return o.batch > 0 ? o.batch : arch == kDf ? 8 : 64;
}

struct Row {
  std::string arch;
  int batch;
  std::string precision;
  KernelCase measured;  // without what it runs
  double seconds;

  // What can take the place of each other.
  bool same_work(const Row& other) const {
    return arch == other.arch && precision == other.precision && measured.layer == other.measured.layer &&
           measured.kernel == other.measured.kernel;
  }
};

// Rows of the same work are printed together, once all are known, the fastest marked.
class Table {
 public:
  explicit Table(const Options& options) : options_(options) {}

  void measure_peak() {
    std::vector<Row> seen;
    peak_ = measured_peak(options_.seconds, [&](const KernelCase& c, double t) {
      seen.push_back({"", 0, "bf16", c, t});
    });
    for (const Row& row : seen) add(row);
  }

  void measure(const std::string& arch, DType type) {
    const int batch = batch_of(options_, arch);
    const std::string precision = type == DType::bf16 ? "bf16" : "fp32";
    const Visit visit = [&](const KernelCase& c) { measure(arch, batch, precision, c); };
    const Layers layers = arch == kDf ? df_ud256(batch, type) : layers_of(architecture(arch), batch, type);
    std::fprintf(stderr, "bench_kernels: %s, %d+%d, %s: %.1f GFLOP forward per sample\n", arch.c_str(), batch, batch,
                 precision.c_str(), forward_flops(layers, batch) * 1e-9);
    visit_layers(layers, options_.choices, visit);
    if (arch != kDf && !options_.choices) visit_others(architecture(arch), batch, type, visit);
  }
  void measure_frames() {
    visit_frames([&](const KernelCase& c) { measure("", 1, "", c); });
  }

  bool failed() const { return failed_; }
  void end() {
    print_rows();
    if (options_.json) std::printf("%s]\n", headed_ ? "" : "[");
  }

 private:
  void measure(const std::string& arch, int batch, const std::string& precision, const KernelCase& c) {
    const std::string name = c.layer + " " + c.kernel + " " + c.by + (c.choice.empty() ? "" : " ") + c.choice;
    if (name.find(options_.only) == std::string::npos) return;
    try {
      add({arch, batch, precision, c, time_on_card(c.run, options_.seconds)});
    } catch (const std::runtime_error& e) {
      failed_ = true;
      std::fprintf(stderr, "bench_kernels: %s, %s: %s\n", arch.c_str(), name.c_str(), e.what());
    }
  }

  void add(Row row) {
    row.measured.run = nullptr;
    if (!rows_.empty() && !rows_.front().same_work(row)) print_rows();
    rows_.push_back(row);
  }

  void print_rows() {
    const auto faster = [](const Row& a, const Row& b) { return a.seconds < b.seconds; };
    const auto best = std::min_element(rows_.begin(), rows_.end(), faster);
    for (auto row = rows_.begin(); row != rows_.end(); ++row) print(*row, row == best);
    rows_.clear();
    std::fflush(stdout);  // a run that is stopped leaves what it has measured
  }

  // `of_peak`: the least time that the kernel's operations and bytes take at the measured peaks, over its time.
  void print(const Row& row, bool best) {
    const KernelCase& c = row.measured;
    const double t = row.seconds;
    const double least =
        std::max(peak_.flops > 0 ? c.flops / peak_.flops : 0, peak_.bytes > 0 ? c.bytes / peak_.bytes : 0);
    if (options_.json) {
      std::printf(
          "%s{\"arch\":\"%s\",\"batch\":%d,\"precision\":\"%s\",\"layer\":\"%s\",\"kernel\":\"%s\",\"by\":\"%s\","
          "\"choice\":\"%s\",\"best\":%s,\"ms\":%.5f,\"tflops\":%.3f,\"gb_per_s\":%.2f,\"of_peak\":%.4f}",
          headed_ ? ",\n " : "[", row.arch.c_str(), row.batch, row.precision.c_str(), c.layer.c_str(), c.kernel.c_str(),
          c.by.c_str(), c.choice.c_str(), best ? "true" : "false", t * 1e3, c.flops / t * 1e-12, c.bytes / t * 1e-9,
          least / t);
      headed_ = true;
      return;
    }
    if (!headed_)
      std::printf("%-9s %-26s %-22s %-9s %-17s %-5s %10s %9s %9s %8s\n", "arch", "layer", "kernel", "by", "choice",
                  "type", "ms", "TFLOP/s", "GB/s", "of peak");
    headed_ = true;
    std::printf("%-9s %-26s %-22s %-9s %-17s %-5s %10.4f %9.1f %9.0f %7.1f%%%s\n", row.arch.c_str(), c.layer.c_str(),
                c.kernel.c_str(), c.by.c_str(), c.choice.c_str(), row.precision.c_str(), t * 1e3, c.flops / t * 1e-12,
                c.bytes / t * 1e-9, 100 * least / t, best && rows_.size() > 1 ? "  best" : "");
  }

  Options options_;
  Peak peak_;
  std::vector<Row> rows_;  // of the same work
  bool headed_ = false, failed_ = false;
};

int usage() {
  std::fprintf(stderr,
               "usage: bench_kernels [--device cuda|emulator] [--arch lite|original|df-ud256]\n"
               "                     [--batch SAMPLES_PER_PERSON] [--precision bf16|fp32] [--choices] [--only TEXT]\n"
               "                     [--seconds S_PER_KERNEL] [--json]\n");
  return 2;
}

int main_program(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string key = argv[i];
    if (key == "--json" || key == "--choices") {
      (key == "--json" ? o.json : o.choices) = true;
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
  if (!o.arch.empty() && o.arch != kDf) try {
      architecture(o.arch);
    } catch (const UsageError& e) {
      throw UsageError(std::string(e.what()) + "; here also " + kDf);
    }
  if (const std::string problem = o.device == "cuda" ? card_problem() : ""; !problem.empty()) {
    std::fprintf(stderr, "bench_kernels: no card to measure on: %s\n", problem.c_str());
    if (o.json) std::printf("[]\n");
    return 0;
  }
  use_device(choose_device(o.device));
  std::fprintf(stderr, "bench_kernels: %s\n", describe(device_in_use()).c_str());
  Table table(o);
  table.measure_peak();
  for (const std::string& arch : o.arch.empty() ? architecture_names() : std::vector<std::string>{o.arch})
    for (const DType type : {DType::bf16, DType::f32}) {
      if (!o.precision.empty() && (o.precision == "bf16") != (type == DType::bf16)) continue;
      table.measure(arch, type);
    }
  if (!o.choices && o.arch != kDf) table.measure_frames();
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
