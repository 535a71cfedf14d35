// Predicts, without a card, how long each product of a training step takes on one, and why: the kernel, its blocks and
// how they fill the card, what it computes and moves, and which of these bounds it. Nothing here is measured; the
// assumptions are the named constants of bench/roofline.h and bench/roofline_launches.cc.
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "bench/options.h"
#include "bench/program.h"
#include "bench/roofline.h"
#include "nn/training_step.h"
#include "runtime/json.h"
#include "runtime/kernel_cache.h"

namespace doppel::bench {
namespace {

constexpr const char* kDf = "df-ud256";
constexpr double kAim = 3.0e-3;  // of a step of `original`, 64 + 64 samples, bf16, on an H200: bench/README.md

struct Request {
  std::string device = kCards[0].name, arch, precision = "bf16", conv = "handwritten";
  std::string resources = DOPPEL_KERNEL_RESOURCES;
  int batch = 0;  // 0: the architecture's
  bool json = false;

  DType type() const { return precision == "bf16" ? DType::bf16 : DType::f32; }
};

struct Row {
  LayerPass pass;
  Prediction p;
};

struct Step {
  std::string arch;
  int batch = 0;
  std::vector<Row> rows;
  double flops = 0, products = 0, others = 0, floor = 0;    // seconds but the first
  double arithmetic = 0, memory = 0, cache = 0, issue = 0;  // the products' seconds by each limit alone
  std::map<std::string, double> other_seconds;              // of all nodes of a name
  int other_nodes = 0;                                      // none: of a list of shapes

  double seconds() const { return products + others; }
};

void add_products(Step& step, const std::vector<LayerPass>& passes, const Request& o, const Card& card,
                  const ResourceTable& resources) {
  for (const LayerPass& pass : passes) {
    const std::vector<Prediction> all = predictions(pass, card, resources);
    const auto fastest =
        std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
    const Prediction& p = o.conv == "untimed" ? all.front() : *fastest;
    step.rows.push_back({pass, p});
    step.flops += p.flops;
    step.products += p.seconds;
    step.floor += p.floor;
    step.arithmetic += p.products;
    step.memory += p.memory;
    step.cache += p.cache;
    step.issue += p.issue;
  }
}

Step predicted_step(const std::string& arch, const Request& o, const Card& card, const ResourceTable& resources) {
  Step step;
  step.arch = arch;
  step.batch = o.batch > 0 ? o.batch : arch == kDf ? 8 : 64;  // as bench_kernels
  if (arch == kDf) {
    add_products(step, layer_passes(df_ud256(step.batch, o.type())), o, card, resources);
    return step;
  }
  StepOptions options;
  options.arch = architecture(arch);
  options.people = {"a", "b"};
  options.batch = step.batch;
  options.precision = o.type();
  const Graph graph = TrainingStep::traced(options, declare_parameters(options.arch, options.people));
  add_products(step, layer_passes(graph), o, card, resources);
  for (const Node& node : graph.nodes)
    if (node.op->product().empty()) {
      const double seconds = seconds_of_other(graph, node, card);
      step.others += seconds;
      step.other_seconds[node.op->name()] += seconds;
      ++step.other_nodes;
    }
  return step;
}

// ---- as text --------------------------------------------------------------------------------------------------------

std::string shape_of(const Conv2d& v) {
  const std::string groups = v.groups > 1 ? std::to_string(v.groups) + " x " : "";
  return groups + "[" + std::to_string(v.n) + "," + std::to_string(v.h) + "," + std::to_string(v.w) + "," +
         std::to_string(v.c) + "] to " + std::to_string(v.k) + ", " + std::to_string(v.r) + "x" + std::to_string(v.s) +
         (v.stride > 1 ? " / 2" : "");
}

void print_rows(const Step& step) {
  std::printf("%-20s %-5s %-21s %7s %4s %6s %4s %-9s %5s %5s %8s %8s %8s %7s %8s %8s %6s  %-12s %s\n", "layer", "pass",
              "kernel", "blocks", "regs", "KB", "/SM", "limit", "waves", "full", "GFLOP", "MB", "cache MB", "FLOP/B",
              "floor us", "us", "floor%", "bound", "shape");
  for (const auto& [pass, p] : step.rows) {
    char tiles[80] = "", registers[12] = "?", cache[16] = "-";
    if (p.registers > 0) std::snprintf(registers, sizeof registers, "%d", p.registers);
    std::snprintf(tiles, sizeof tiles, "%7lld %4s %6.1f %4d %-9s %5d %4.0f%%", static_cast<long long>(p.blocks),
                  registers, p.shared / 1024.0, p.resident.blocks, p.resident.limit, p.waves, 100 * p.wave_efficiency);
    if (p.cache_bytes > 0) std::snprintf(cache, sizeof cache, "%.1f", p.cache_bytes * 1e-6);
    std::printf("%-20s %-5s %-21s %s %8.2f %8.1f %8s %7.0f %8.1f %8.1f %5.0f%%  %-12s %s\n", pass.layer.c_str(),
                name_of(pass.pass), to_string(p.kernel).c_str(), tiles, p.flops * 1e-9, p.bytes * 1e-6, cache,
                p.flops / p.bytes, p.floor * 1e6, p.seconds * 1e6, 100 * p.floor / p.seconds, p.bound,
                shape_of(pass.conv).c_str());
  }
}

void print(const Step& step, const Request& o, const Card& card) {
  std::printf("%s, %d+%d samples, %s, on %s: predicted, not measured\n\n", step.arch.c_str(), step.batch, step.batch,
              o.precision.c_str(), card.name);
  print_rows(step);
  std::printf("\n%-46s %10.3f TFLOP\n", "operations of the products", step.flops * 1e-12);
  const auto line = [](const std::string& what, double seconds) {
    std::printf("%-46s %10.3f ms\n", what.c_str(), seconds * 1e3);
  };
  line("products, at the card's peaks", step.floor);
  line("if only arithmetic took time", step.arithmetic);
  line("if only memory did", step.memory);
  line("if only copies from the L2 cache did", step.cache);
  line("if only instructions of ends and fp32 did", step.issue);
  line("products, predicted", step.products);
  if (step.other_nodes > 0) {
    line(std::to_string(step.other_nodes) + " other nodes, predicted", step.others);
    line("step, predicted", step.seconds());
  }
  if (step.arch == "original" && step.batch == 64 && o.type() == DType::bf16 && std::string(card.name) == "h200")
    line("aim", kAim);

  std::vector<const Row*> worst;
  for (const Row& row : step.rows) worst.push_back(&row);
  const auto lost = [](const Row* r) { return r->p.seconds - r->p.floor; };
  std::sort(worst.begin(), worst.end(), [&](const Row* a, const Row* b) { return lost(a) > lost(b); });
  std::printf("\nmost time above the floor:\n");
  for (size_t i = 0; i < std::min<size_t>(worst.size(), 8); ++i)
    std::printf("%8.1f us  %-20s %s\n", lost(worst[i]) * 1e6, worst[i]->pass.layer.c_str(),
                name_of(worst[i]->pass.pass));
  std::printf("\n");
}

// ---- as JSON --------------------------------------------------------------------------------------------------------

Json json_of(const Row& row) {
  const Prediction& p = row.p;
  Json j = Json::object();
  j.set("layer", row.pass.layer).set("pass", name_of(row.pass.pass)).set("shape", shape_of(row.pass.conv));
  j.set("kernel", to_string(p.kernel))
      .set("function", p.function)
      .set("blocks", double(p.blocks))
      .set("threads", p.threads);
  j.set("registers", p.registers > 0 ? Json(p.registers) : Json()).set("shared_bytes", p.shared);
  j.set("blocks_per_sm", p.resident.blocks).set("limit", p.resident.limit).set("waves", p.waves);
  j.set("wave_efficiency", p.wave_efficiency).set("flops", p.flops).set("bytes", p.bytes);
  j.set("cache_bytes", p.cache_bytes).set("floor_us", p.floor * 1e6).set("products_us", p.products * 1e6);
  j.set("memory_us", p.memory * 1e6).set("cache_us", p.cache * 1e6);
  j.set("instructions_us", p.issue * 1e6).set("us", p.seconds * 1e6).set("bound", p.bound);
  return j;
}

Json json_of(const Card& card) {
  Json j = Json::object();
  j.set("sm", card.sm).set("multiprocessors", card.multiprocessors).set("nominal_tflops", card.nominal * 1e-12);
  j.set("products_tflops", card.products * 1e-12).set("memory_tb_per_s", card.bytes * 1e-12);
  j.set("cache_tb_per_s", card.cache * 1e-12).set("fp32_tflops", card.fp32 * 1e-12);
  return j.set("clock_ghz", clock_of(card) * 1e-9);
}

Json assumed() {
  Json j = Json::object();
  j.set("mma_share_on_hopper", kMmaShareOnHopper).set("wgmma_share", kWgmmaShare);
  j.set("product_share", kProductShare).set("copy_share", kCopyShare).set("issue_share", kIssueShare);
  return j.set("warps", kWarpsForFullRate).set("start_steps", kStartSteps).set("launch_us", kLaunch * 1e6);
}

Json json_of(const Step& step, const Request& o, const Card& card) {
  Json rows = Json::array(), j = Json::object(), others = Json::object();
  for (const Row& row : step.rows) rows.push(json_of(row));
  j.set("predicted", true).set("device", card.name).set("arch", step.arch).set("batch", step.batch);
  j.set("precision", o.precision).set("conv", o.conv).set("flops", step.flops).set("floor_ms", step.floor * 1e3);
  j.set("arithmetic_only_ms", step.arithmetic * 1e3).set("memory_only_ms", step.memory * 1e3);
  j.set("cache_only_ms", step.cache * 1e3).set("instructions_only_ms", step.issue * 1e3);
  j.set("products_ms", step.products * 1e3);
  // A list of shapes says nothing of what else a step does.
  const bool whole = step.other_nodes > 0;
  j.set("others_ms", whole ? Json(step.others * 1e3) : Json()).set("ms", whole ? Json(step.seconds() * 1e3) : Json());
  for (const auto& [name, seconds] : step.other_seconds) others.set(name, seconds * 1e3);
  j.set("others", std::move(others));
  if (step.arch == "original") j.set("aim_ms", kAim * 1e3);
  j.set("card", json_of(card)).set("assumed", assumed());
  return j.set("layers", std::move(rows));
}

// ---- the program ----------------------------------------------------------------------------------------------------

int run(int argc, char** argv) {
  Request o;
  std::vector<std::string> cards, archs = architecture_names();
  archs.push_back(kDf);
  for (const Card& card : kCards) cards.push_back(card.name);
  Options options("bench_roofline",
                  "Predicts how long each product of a training step takes on a card, and why; nothing is measured.");
  options.choice("--device", cards, o.device, "The card");
  options.choice("--arch", archs, o.arch, "This one alone; of df-ud256 only the products are known");
  options.number("--batch", "N", 1, kMostBatch, o.batch, "Samples of each of two people (default 64; df-ud256: 8)");
  options.choice("--precision", {"bf16", "fp32"}, o.precision, "Of the products");
  options.choice("--conv", {"handwritten", "untimed"}, o.conv,
                 "Of each layer the fastest of all kernels that are timed before training, or the one taken untimed");
  options.text("--resources", "FILE", o.resources, "Registers of the kernels, as a build with CUDA wrote them");
  options.flag("--json", o.json, "A list of objects instead of tables");
  if (!options.parse(argc, argv)) return 0;
  const ResourceTable resources = read_resources(o.resources);
  if (resources.empty()) tell("registers are unknown: no %s (a build with CUDA writes it)", o.resources.c_str());
  const Card& card = *find_card(o.device);
  Json all = Json::array();
  for (const std::string& arch : archs) {
    if (!o.arch.empty() && o.arch != arch) continue;
    stop_if_asked();
    const Step step = predicted_step(arch, o, card, resources);
    o.json ? void(all.push(json_of(step, o, card))) : print(step, o, card);
  }
  if (o.json) std::printf("%s\n", all.dump(1).c_str());
  return 0;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  return doppel::bench::run_program("bench_roofline", argc, argv, doppel::bench::run);
}
