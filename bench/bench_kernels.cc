// Times every CUDA kernel at the layer shapes of the architectures on a card, next to cuDNN and cuBLASLt where they are
// there, and says how close each comes to what the card can do, measured in the same run.
//
// --layers times nothing: it prints the shapes of the convolutions and dense layers, for peers. --choices times
// everything that a layer's pass can be computed by, and nothing else; df-ud256, which has convolutions and dense
// layers alone, only when it is named. Without a card it says so and has nothing to do. On the emulator it only
// rehearses: give it --batch 1 and --only.
#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/card.h"
#include "bench/kernel_cases.h"
#include "bench/layer_list.h"
#include "bench/options.h"
#include "bench/peak.h"
#include "bench/program.h"
#include "nn/architecture.h"
#include "runtime/device.h"

namespace doppel::bench {
namespace {

constexpr const char* kDf = "df-ud256";

struct Request {
  std::string device = "cuda", arch, precision, only;
  int batch = 0;         // 0: the architecture's
  double seconds = 0.2;  // of each kernel
  bool layers = false, choices = false, json = false;
};

// As at home: 64 a person, of a DF network 8.
int batch_of(const Request& o, const std::string& arch) {
  return o.batch > 0 ? o.batch : arch == kDf ? 8 : 64;
}

bool wanted(const Request& o, DType type) {
  return o.precision.empty() || o.precision == precision_of(type);
}

Layers layers_named(const std::string& arch, int batch, DType type) {
  return arch == kDf ? df_ud256(batch, type) : layers_of(architecture(arch), batch, type);
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
  explicit Table(const Request& request) : request_(request) {}

  void measure_peak() {
    std::vector<Row> seen;
    peak_ = measured_peak(request_.seconds, [&](const KernelCase& c, double t) {
      seen.push_back({"", 0, "bf16", c, t});
    });
    for (const Row& row : seen) add(row);
    tell("peaks of this run: %.1f TFLOP/s (%s), %.0f GB/s (a copy)", peak_.flops * 1e-12, peak_.by.c_str(),
         peak_.bytes * 1e-9);
  }

  void measure(const std::string& arch, DType type) {
    const int batch = batch_of(request_, arch);
    const std::string precision = precision_of(type);
    const Visit visit = [&](const KernelCase& c) { measure(arch, batch, precision, c); };
    const Layers layers = layers_named(arch, batch, type);
    tell("%s, %d+%d, %s: %.1f GFLOP forward per sample", arch.c_str(), batch, batch, precision.c_str(),
         forward_flops(layers, batch) * 1e-9);
    visit_layers(layers, request_.choices, visit);
    if (arch != kDf && !request_.choices) visit_others(architecture(arch), batch, type, visit);
  }
  void measure_frames() {
    visit_frames([&](const KernelCase& c) { measure("", 1, "", c); });
  }

  bool failed() const { return failed_; }
  void end() {
    print_rows();
    if (request_.json) list_.end();
  }

 private:
  void measure(const std::string& arch, int batch, const std::string& precision, const KernelCase& c) {
    const std::string name = c.layer + " " + c.kernel + " " + c.by + (c.choice.empty() ? "" : " ") + c.choice;
    if (name.find(request_.only) == std::string::npos) return;
    stop_if_asked();
    double seconds = 0;
    try {
      seconds = time_on_card(c.run, request_.seconds);
    } catch (const std::runtime_error& e) {
      failed_ = true;
      tell("%s, %s: %s", arch.c_str(), name.c_str(), e.what());
      return;
    }
    add({arch, batch, precision, c, seconds});
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
    flush_results();
  }

  // `of_peak`: the least time that the kernel's operations and bytes take at the measured peaks, over its time.
  void print(const Row& row, bool best) {
    const KernelCase& c = row.measured;
    const double t = row.seconds;
    const double least =
        std::max(peak_.flops > 0 ? c.flops / peak_.flops : 0, peak_.bytes > 0 ? c.bytes / peak_.bytes : 0);
    if (request_.json) {
      Json j = Json::object();
      j.set("arch", row.arch).set("batch", row.batch).set("precision", row.precision).set("layer", c.layer);
      j.set("kernel", c.kernel).set("by", c.by).set("choice", c.choice).set("best", best);
      j.set("ms", rounded(t * 1e3, 5)).set("tflops", rounded(c.flops / t * 1e-12, 3));
      j.set("gb_per_s", rounded(c.bytes / t * 1e-9, 2));
      list_.add(j.set("of_peak", rounded(least / t, 4)));
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

  Request request_;
  Peak peak_;
  std::vector<Row> rows_;  // of the same work
  JsonList list_;
  bool headed_ = false, failed_ = false;
};

void print_layers(const Request& o, const std::vector<std::string>& archs) {
  JsonList list;
  for (const std::string& arch : o.arch.empty() ? archs : std::vector<std::string>{o.arch})
    for (const DType type : {DType::bf16, DType::f32}) {
      if (!wanted(o, type)) continue;
      const int batch = batch_of(o, arch);
      const Layers layers = layers_named(arch, batch, type);
      for (const ConvLayer& layer : layers.convs) list.add(json_of(layer, arch, batch));
      for (const DenseLayer& layer : layers.denses) list.add(json_of(layer, arch, batch));
    }
  list.end();
}

int run(int argc, char** argv) {
  Request o;
  std::vector<std::string> archs = architecture_names();
  archs.push_back(kDf);
  Options options("bench_kernels",
                  "Times every CUDA kernel at the layer shapes of the architectures, next to cuDNN and cuBLASLt.");
  options.choice("--device", {"cuda", "emulator"}, o.device,
                 "Where; the emulator only rehearses: --batch 1 --only TEXT");
  options.choice("--arch", archs, o.arch, std::string("This one alone; ") + kDf + " only when it is named");
  options.choice("--precision", {"bf16", "fp32"}, o.precision, "This one alone");
  options.number("--batch", "N", 1, kMostBatch, o.batch,
                 std::string("Samples of each of two people [64; 8 of ") + kDf + "]");
  options.number("--seconds", "S", kLeastSeconds, kMostSeconds, o.seconds, "For how long each kernel is measured");
  options.flag("--choices", o.choices, "All kernels that a layer's pass can be computed by, and nothing else");
  options.text("--only", "TEXT", o.only, "Those alone whose layer, kernel, library and choice have this in them");
  options.flag("--layers", o.layers,
               std::string("Prints the shapes of all layers as JSON, those of ") + kDf + " too, and times nothing");
  options.flag("--json", o.json, "A list of objects instead of a table");
  if (!options.parse(argc, argv)) return 0;
  if (o.layers) {
    print_layers(o, archs);
    return 0;
  }
  if (const std::string problem = o.device == "cuda" ? card_problem() : ""; !problem.empty()) {
    tell("no card to measure on: %s", problem.c_str());
    if (o.json) JsonList().end();
    return 0;
  }
  use_device(choose_device(o.device));
  tell_line(describe(device_in_use()));
  Table table(o);
  table.measure_peak();
  for (const std::string& arch : o.arch.empty() ? architecture_names() : std::vector<std::string>{o.arch})
    for (const DType type : {DType::bf16, DType::f32}) {
      if (!wanted(o, type)) continue;
      table.measure(arch, type);
    }
  if (!o.choices && o.arch != kDf) table.measure_frames();
  table.end();
  return table.failed() ? 1 : 0;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  return doppel::bench::run_program("bench_kernels", argc, argv, doppel::bench::run);
}
