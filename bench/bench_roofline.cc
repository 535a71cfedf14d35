// Predicts, without a card, how long each product of a training step takes on one, and why: the kernel, its blocks and
// how they fill the card, what it computes and moves, and which of these bounds it. Nothing here is measured; the
// assumptions are the named constants of bench/roofline.{h,cc}.
#include <algorithm>
#include <cstdio>
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

constexpr double kAim = 3.0e-3;  // of a step of `original`, 64 + 64 samples, bf16, on an H200: bench/README.md

struct Request {
  std::string device = kCards[0].name, arch, conv = "handwritten", resources = DOPPEL_KERNEL_RESOURCES;
  int batch = 64;
  bool json = false;
};

struct Row {
  LayerPass pass;
  Prediction p;
};

struct Step {
  std::string arch;
  std::vector<Row> rows;
  double flops = 0, products = 0, others = 0, floor = 0;  // seconds but the first
  double tensor = 0, memory = 0, cache = 0;               // the products' seconds by each limit alone
  int other_nodes = 0;

  double seconds() const { return products + others; }
};

Step predicted_step(const std::string& arch, const Request& o, const Card& card, const ResourceTable& resources) {
  StepOptions options;
  options.arch = architecture(arch);
  options.people = {"a", "b"};
  options.batch = o.batch;
  options.precision = DType::bf16;
  const Graph graph = TrainingStep::traced(options, declare_parameters(options.arch, options.people));
  Step step;
  step.arch = arch;
  for (const LayerPass& pass : layer_passes(graph)) {
    const std::vector<Prediction> all = predictions(pass, card, resources);
    const auto fastest =
        std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
    const Prediction& p = o.conv == "untimed" ? all.front() : *fastest;
    step.rows.push_back({pass, p});
    step.flops += p.flops;
    step.products += p.seconds;
    step.floor += p.floor;
    step.tensor += p.tensor;
    step.memory += p.memory;
    step.cache += p.cache;
  }
  for (const Node& node : graph.nodes)
    if (node.op->product().empty()) {
      step.others += seconds_of_other(graph, node, card);
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
  std::printf("%-20s %-5s %-15s %7s %4s %6s %4s %-9s %5s %5s %8s %8s %8s %7s %8s %8s %6s  %-8s %s\n", "layer", "pass",
              "kernel", "blocks", "regs", "KB", "/SM", "limit", "waves", "full", "GFLOP", "MB", "cache MB", "FLOP/B",
              "floor us", "us", "floor%", "bound", "shape");
  for (const auto& [pass, p] : step.rows) {
    char tiles[80] = "      -    -      -    - -             -     -", registers[12] = "?", cache[16] = "-";
    if (p.registers > 0) std::snprintf(registers, sizeof registers, "%d", p.registers);
    if (p.blocks > 0) {
      std::snprintf(tiles, sizeof tiles, "%7lld %4s %6.1f %4d %-9s %5d %4.0f%%", static_cast<long long>(p.blocks),
                    registers, p.shared / 1024.0, p.resident.blocks, p.resident.limit, p.waves,
                    100 * p.wave_efficiency);
      std::snprintf(cache, sizeof cache, "%.1f", p.cache_bytes * 1e-6);
    }
    std::printf("%-20s %-5s %-15s %s %8.2f %8.1f %8s %7.0f %8.1f %8.1f %5.0f%%  %-8s %s\n", pass.layer.c_str(),
                name_of(pass.pass), to_string(p.kernel).c_str(), tiles, p.flops * 1e-9, p.bytes * 1e-6, cache,
                p.flops / p.bytes, p.floor * 1e6, p.seconds * 1e6, 100 * p.floor / p.seconds, p.bound,
                shape_of(pass.conv).c_str());
  }
}

void print(const Step& step, const Request& o, const Card& card) {
  std::printf("%s, %d+%d samples, bf16, on %s: predicted, not measured\n\n", step.arch.c_str(), o.batch, o.batch,
              card.name);
  print_rows(step);
  std::printf("\n%-46s %10.3f TFLOP\n", "operations of the products", step.flops * 1e-12);
  const auto line = [](const std::string& what, double seconds) {
    std::printf("%-46s %10.3f ms\n", what.c_str(), seconds * 1e3);
  };
  line("products, at the card's peaks", step.floor);
  line("if only tensor cores took time", step.tensor);
  line("if only memory did", step.memory);
  line("if only copies from the L2 cache did", step.cache);
  line("products, predicted", step.products);
  line(std::to_string(step.other_nodes) + " other nodes, predicted", step.others);
  line("step, predicted", step.seconds());
  if (step.arch == "original" && o.batch == 64 && std::string(card.name) == "h200") line("aim", kAim);

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
  j.set("kernel", to_string(p.kernel)).set("blocks", double(p.blocks)).set("threads", p.threads);
  j.set("registers", p.registers > 0 ? Json(p.registers) : Json()).set("shared_bytes", p.shared);
  j.set("blocks_per_sm", p.resident.blocks).set("limit", p.resident.limit).set("waves", p.waves);
  j.set("wave_efficiency", p.wave_efficiency).set("flops", p.flops).set("bytes", p.bytes);
  j.set("cache_bytes", p.cache_bytes).set("floor_us", p.floor * 1e6).set("products_us", p.tensor * 1e6);
  j.set("memory_us", p.memory * 1e6).set("cache_us", p.cache * 1e6).set("us", p.seconds * 1e6).set("bound", p.bound);
  return j;
}

Json json_of(const Step& step, const Request& o, const Card& card) {
  Json rows = Json::array(), j = Json::object();
  for (const Row& row : step.rows) rows.push(json_of(row));
  j.set("predicted", true).set("device", card.name).set("arch", step.arch).set("batch", o.batch);
  j.set("precision", "bf16").set("conv", o.conv).set("flops", step.flops).set("floor_ms", step.floor * 1e3);
  j.set("tensor_only_ms", step.tensor * 1e3).set("memory_only_ms", step.memory * 1e3);
  j.set("cache_only_ms", step.cache * 1e3)
      .set("products_ms", step.products * 1e3)
      .set("others_ms", step.others * 1e3)
      .set("ms", step.seconds() * 1e3);
  return j.set("layers", std::move(rows));
}

// ---- the program ----------------------------------------------------------------------------------------------------

int run(int argc, char** argv) {
  Request o;
  std::vector<std::string> cards;
  for (const Card& card : kCards) cards.push_back(card.name);
  Options options("bench_roofline",
                  "Predicts how long each product of a training step takes on a card, and why; nothing is measured.");
  options.choice("--device", cards, o.device, "The card");
  options.choice("--arch", architecture_names(), o.arch, "This one alone");
  options.number("--batch", "N", 1, kMostBatch, o.batch, "Samples of each of two people");
  options.choice("--conv", {"handwritten", "untimed"}, o.conv,
                 "Of each layer the fastest of all kernels that are timed before training, or the one taken untimed");
  options.text("--resources", "FILE", o.resources, "Registers of the kernels, as a build with CUDA wrote them");
  options.flag("--json", o.json, "A list of objects instead of tables");
  if (!options.parse(argc, argv)) return 0;
  const ResourceTable resources = read_resources(o.resources);
  if (resources.empty()) tell("registers are unknown: no %s (a build with CUDA writes it)", o.resources.c_str());
  const Card& card = *find_card(o.device);
  Json all = Json::array();
  for (const char* arch : {"original", "lite"}) {
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
