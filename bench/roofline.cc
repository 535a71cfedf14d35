#include "bench/roofline.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "bench/layers.h"
#include "bench/roofline_tiles.h"
#include "bench/step_floor.h"
#include "kernels/conv2d_wgmma_plan.h"
#include "kernels/emulator/emulator.h"
#include "runtime/matrix_operators.h"

namespace doppel::bench {
namespace {

// ---- assumptions ----------------------------------------------------------------------------------------------------

// Of the data sheet's operations, while all is at hand. Hopper: mma.sync reaches about 65 %, wgmma about 86 %
// (published); no kernel is taken to go faster than a library's product. Elsewhere mma.sync is all there is.
constexpr double kMmaShareOnHopper = 0.65, kWgmmaShare = 0.86;
// Gathering kernels of the first and the last layer: counting the instructions that the sums wait for (docs/kernels/
// sass.md) leaves tensor cores idle nine times of ten. A guess.
constexpr double kEndsShare = 0.1;
// Kernels without tensor cores: half of what fp32 arithmetic could do, itself a sixteenth of the tensor cores' rate.
constexpr double kSimtShare = 0.5 / 16;
// Two warps for each of the four schedulers hide the latency of products; below, the rate falls in proportion.
constexpr int kWarpsForFullRate = 8;
// Steps of 32 products that a block needs to fill its pipeline and to store (as in kernels/conv2d_mma_plan.h).
constexpr double kStartSteps = 4;
// From the end of a kernel in a graph to the beginning of the next.
constexpr double kLaunch = 2e-6;
// CUDA keeps this of each block's shared memory; registers are given to warps in units of 256.
constexpr int kReservedShared = 1024, kRegisterUnit = 256;
constexpr int kWarp = 32;

int ceil_of(int64_t a, int64_t b) {
  return int((a + b - 1) / b);
}

// Registers and static shared memory of "conv2d_mma_fprop: fprop<Tile<128, 128, ..", which begins like that.
Resources find(const ResourceTable& table, KernelKind kernel, Pass pass, const std::string& tile, int sm) {
  const std::string begin = std::string("conv2d_") + (is_wgmma(kernel) ? "wgmma_" : "mma_") + name_of(pass) + ": " +
                            name_of(pass) + "<" + tile;
  for (const auto& [key, resources] : table)
    if (key.second == sm && key.first.starts_with(begin)) return resources;
  return {};
}

double result_elements(const LayerPass& p) {
  const Conv2d& v = p.conv;
  return double(v.groups) * double(p.pass == Pass::fprop   ? v.out_elements()
                                   : p.pass == Pass::dgrad ? v.in_elements()
                                                           : v.weights());
}

}  // namespace

const Card* find_card(const std::string& name) {
  for (const Card& card : kCards)
    if (name == card.name) return &card;
  return nullptr;
}

Multiprocessor multiprocessor_of(int sm) {
  switch (sm) {
    case 80:
      return {2048, 32, 164 << 10};
    case 86:
      return {1536, 16, 100 << 10};
    case 89:
      return {1536, 24, 100 << 10};
    case 90:
      return {2048, 32, 228 << 10};
    case 120:
      return {1536, 24, 100 << 10};
    default:
      throw std::invalid_argument("no figures of a multiprocessor of sm_" + std::to_string(sm));
  }
}

ResourceTable read_resources(const std::string& path) {
  ResourceTable table;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string kernel, sm;
    Resources r;
    if (std::getline(fields, kernel, '\t') && std::getline(fields, sm, '\t') &&
        fields >> r.registers >> r.static_shared)
      table[{kernel, std::stoi(sm)}] = r;  // "90a" is 90
  }
  return table;
}

Occupancy occupancy(const Multiprocessor& m, int threads, int registers, int shared) {
  Occupancy best{m.blocks, "blocks"};
  const auto limit = [&](int blocks, const char* by) {
    if (blocks < best.blocks) best = {blocks, by};
  };
  limit(m.threads / threads, "threads");
  if (registers > 0) {
    const int warps = ceil_of(threads, kWarp), each = ceil_of(registers * kWarp, kRegisterUnit) * kRegisterUnit;
    limit(m.registers / each / warps, "registers");
  }
  limit(m.shared / (shared + kReservedShared), "shared");
  return best;
}

std::vector<LayerPass> layer_passes(const Graph& graph) {
  std::set<std::string> products;
  for (const Node& node : graph.nodes) products.insert(node.op->product());
  std::vector<LayerPass> all;
  const auto add = [&](const Node& node, const Conv2d& v, const auto& described) {
    for (const Pass pass : kPasses)  // no gradient goes to the pictures
      if (products.contains(described(pass))) all.push_back({layer_name(graph, node), pass, v, pass_bytes(v, pass)});
  };
  for (const Node& node : graph.nodes) {
    if (const auto* conv = dynamic_cast<const ConvOp*>(node.op.get()))
      add(node, conv->conv(), [&](Pass pass) { return describe(conv->conv(), conv->epilogue(), pass); });
    if (const auto* dense = dynamic_cast<const DenseOp*>(node.op.get()))
      add(node, conv_of(dense->dense()), [&](Pass pass) { return describe(dense->dense(), pass); });
  }
  return all;
}

Prediction predict(const LayerPass& pass, const KernelChoice& kernel, const Card& card,
                   const ResourceTable& resources) {
  Prediction p;
  p.kernel = kernel;
  p.flops = pass.conv.flops();
  p.bytes = pass.bytes;
  p.floor = std::max(p.flops / card.products, p.bytes / card.bytes);
  const double partials = kernel.splits > 1 ? 4.0 * kernel.splits * result_elements(pass) : 0;
  p.memory = (p.bytes + partials) / card.bytes;
  if (const auto tile = kernel_tile(kernel.kernel)) {
    const MmaProduct product = mma_product(pass.conv, pass.pass);
    const int64_t steps = ceil_of(product.steps * kMmaStep, tile->step);  // of a whole sum
    const Resources r = find(resources, kernel.kernel, pass.pass, tile->name, card.sm);
    p.threads = tile->threads;
    p.registers = r.registers;
    p.shared = tile->shared + r.static_shared;
    p.resident = occupancy(multiprocessor_of(card.sm), p.threads, p.registers, p.shared);
    p.blocks = int64_t(ceil_of(product.m, tile->m)) * ceil_of(product.n, tile->n) * product.products * kernel.splits;
    p.waves = ceil_of(p.blocks, int64_t(card.multiprocessors) * p.resident.blocks);
    p.wave_efficiency = double(p.blocks) / (double(p.waves) * card.multiprocessors * p.resident.blocks);

    const int on_one = ceil_of(p.blocks, card.multiprocessors);  // blocks that the busiest multiprocessor runs
    const int warps = std::min(on_one, p.resident.blocks) * ceil_of(p.threads, kWarp);
    const double share = is_wgmma(kernel.kernel) ? kWgmmaShare : card.sm == 90 ? kMmaShareOnHopper : kProductShare;
    const double rate = std::min(share * card.nominal, card.products) / card.multiprocessors *
                        std::min(1.0, double(warps) / kWarpsForFullRate);
    const double tile_flops = 2.0 * tile->m * tile->n, depth = double(steps) * tile->step / kernel.splits;
    const double start = p.waves * std::min(on_one, p.resident.blocks) * kStartSteps * kMmaStep;
    p.tensor = tile_flops * (on_one * depth + start) / rate;
    p.cache_bytes = double(p.blocks) * depth * (tile->m + tile->n) * double(size_of(pass.conv.type));
    p.cache = p.cache_bytes / card.cache;
  } else {
    const double share = kernel.kernel == KernelKind::ends ? kEndsShare : kSimtShare;
    p.tensor = p.flops / (share * card.nominal);
  }
  p.seconds = std::max({p.tensor, p.memory, p.cache});
  p.bound = p.seconds == p.tensor ? "products" : p.seconds == p.memory ? "memory" : "cache";
  p.seconds += kLaunch;
  // The second kernel of a split sum reads the parts again and writes the result.
  if (partials > 0) p.seconds += (partials + 4 * result_elements(pass)) / card.bytes + kLaunch;
  p.bytes += 2 * partials;
  return p;
}

std::vector<Prediction> predictions(const LayerPass& pass, const Card& card, const ResourceTable& resources) {
  // The launchers' choices are the architecture's.
  struct Emulated {
    int before = emulator::options().sm;
    ~Emulated() { emulator::options().sm = before; }
  } emulated;
  emulator::options().sm = card.sm;
  std::vector<Prediction> all;
  for (const KernelChoice& kernel : conv2d_choices(pass.conv, pass.pass, {Device::emulator, nullptr, {}}))
    all.push_back(predict(pass, kernel, card, resources));
  return all;
}

double seconds_of_other(const Graph& graph, const Node& node, const Card& card) {
  return least_bytes(graph, node) / card.bytes + kLaunch;
}

}  // namespace doppel::bench
