#include "bench/roofline.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "bench/roofline_launches.h"
#include "bench/roofline_tiles.h"
#include "bench/step_floor.h"
#include "kernels/conv2d_wgmma_plan.h"
#include "kernels/emulator/emulator.h"
#include "runtime/matrix_operators.h"

namespace doppel::bench {
namespace {

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

// The same of "conv2d_simt: gather_kernel<float, true>".
Resources find(const ResourceTable& table, const std::string& function, int sm) {
  const std::string end = ": " + function;
  for (const auto& [key, resources] : table)
    if (key.second == sm && key.first.starts_with("conv2d_") && key.first.ends_with(end)) return resources;
  return {};
}

double result_elements(const LayerPass& p) {
  const Conv2d& v = p.conv;
  return double(v.groups) * double(p.pass == Pass::fprop   ? v.out_elements()
                                   : p.pass == Pass::dgrad ? v.in_elements()
                                                           : v.weights());
}

// What the blocks of a kernel do, however it came to be known.
struct Load {
  std::string function;
  int64_t blocks = 0;
  int threads = 0, shared = 0;  // of a block; dynamic bytes
  Resources resources;
  double rate = 0;                           // operations a second of all multiprocessors while all is at hand
  double flops = 0, start_flops = 0;         // of a block; what filling and emptying its pipeline is worth
  double instructions = 0, cache_bytes = 0;  // of a warp; of a block
  double partials = 0;                       // bytes of partial results in memory
  int kernels_behind = 0;                    // that make the result of them
  double results = 0;                        // bytes of it
};

// Of a block that goes through whole rounds and the longest share (kernels/conv2d_shares_plan.h).
void deal(Load& load, const Conv2d& conv, const KernelChoice& kernel, const KernelTile& tile) {
  const Shares s = wgmma_shares(conv, kernel);
  const double of_block = double(tile.m) * tile.n, results = tile.cluster * of_block, step = of_block * 2 * tile.step;
  int longest = 0, cut = 0, parts = 0;
  for (int i = 0; i < s.count; ++i) longest = std::max(longest, s.begin(i + 1) - s.begin(i));
  for (int i = 0; i < s.cut; ++i)
    if (const int of_tile = s.last_slot(i) - s.first_slot(i) + 1; of_tile > 1) ++cut, parts += of_tile;
  const int rounds = s.whole / s.blocks;
  load.blocks = int64_t(tile.cluster) * s.blocks;
  load.flops = step * (double(rounds) * s.steps + longest);
  load.start_flops *= rounds + (s.cut > 0 ? 2 : 0);  // mostly two tiles' parts
  load.cache_bytes *= double(s.whole + s.cut) / s.blocks;
  load.partials = 4 * results * parts;
  load.results = 4 * results * cut;
  load.kernels_behind = 1;
}

Load tiled(const LayerPass& pass, const KernelChoice& kernel, const KernelTile& tile, const Card& card,
           const ResourceTable& resources) {
  const MmaProduct product = mma_product(pass.conv, pass.pass);
  const int64_t steps = ceil_of(product.steps * kMmaStep, tile.step);  // of a whole sum
  Load load;
  load.blocks = int64_t(tile.cluster) * ceil_of(product.m, int64_t(tile.cluster) * tile.m) *
                ceil_of(product.n, tile.n) * product.products * kernel.splits;
  load.threads = tile.threads;
  load.shared = tile.shared;
  load.resources = find(resources, kernel.kernel, pass.pass, tile.name, card.sm);
  const double share = is_wgmma(kernel.kernel) ? kWgmmaShare : card.sm == 90 ? kMmaShareOnHopper : kProductShare;
  load.rate = std::min(share * card.nominal, card.products);
  const double tile_flops = 2.0 * tile.m * tile.n, depth = double(steps) * tile.step / kernel.splits;
  load.flops = tile_flops * depth;
  load.start_flops = tile_flops * kStartSteps * kMmaStep;
  load.cache_bytes = depth * (tile.m + double(tile.n) / tile.cluster) * double(size_of(pass.conv.type));
  if (kernel.splits > 1) {
    load.partials = 4.0 * kernel.splits * result_elements(pass);
    load.results = 4 * result_elements(pass);
    load.kernels_behind = 1;
  }
  if (kernel.shares > 0) deal(load, pass.conv, kernel, tile);
  return load;
}

Load listed(const LayerPass& pass, const KernelChoice& kernel, const Card& card, const ResourceTable& resources) {
  const std::vector<KernelLaunch> launches = launches_of(pass.conv, pass.pass, kernel);
  const KernelLaunch& first = launches.front();
  const KernelWork work = work_of(pass.conv, pass.pass, kernel, first);
  Load load;
  load.function = first.kernel;
  load.blocks = first.blocks;
  load.threads = first.threads;
  load.shared = first.shared;
  load.resources = find(resources, first.kernel, card.sm);
  const double mma = (card.sm == 90 ? kMmaShareOnHopper : kProductShare) * card.nominal;
  load.rate = work.tensor_cores ? mma : card.fp32;
  load.flops = work.flops;
  load.instructions = work.instructions;
  load.cache_bytes = work.cache_bytes;
  load.kernels_behind = int(launches.size()) - 1;
  load.results = 4 * result_elements(pass);
  if (load.kernels_behind > 0) {
    Conv2d conv = pass.conv;
    conv.kernels[pass.pass] = kernel;
    if (conv.groups > 1 && conv.weight_stride == 0) conv.weight_stride = conv.weights(), conv.bias_stride = conv.k;
    const ConvWorkspace bytes = conv2d_workspace(conv, {}, {Device::emulator, nullptr, {}});
    load.partials = double(pass.pass == Pass::fprop   ? bytes.fprop
                           : pass.pass == Pass::dgrad ? bytes.dgrad
                                                      : bytes.wgrad);
  }
  return load;
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
      return {2048, 32, 164 << 10, 64};
    case 86:
      return {1536, 16, 100 << 10, 128};
    case 89:
      return {1536, 24, 100 << 10, 128};
    case 90:
      return {2048, 32, 228 << 10, 128};
    case 120:
      return {1536, 24, 100 << 10, 128};
    default:
      throw std::invalid_argument("no figures of a multiprocessor of sm_" + std::to_string(sm));
  }
}

double clock_of(const Card& card) {
  return card.fp32 / (2.0 * card.multiprocessors * multiprocessor_of(card.sm).lanes);
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

std::vector<LayerPass> layer_passes(const Layers& layers) {
  std::vector<LayerPass> all;
  const auto add = [&](const std::string& name, const Conv2d& v, bool dgrad) {
    for (const Pass pass : kPasses)
      if (dgrad || pass != Pass::dgrad) all.push_back({name, pass, v, pass_bytes(v, pass)});
  };
  for (const ConvLayer& layer : layers.convs) add(layer.name, layer.conv, layer.dgrad);
  for (const DenseLayer& layer : layers.denses) add(layer.name, conv_of(layer.dense), true);
  return all;
}

Prediction predict(const LayerPass& pass, const KernelChoice& kernel, const Card& card,
                   const ResourceTable& resources) {
  Prediction p;
  p.kernel = kernel;
  p.flops = pass.conv.flops();
  p.bytes = pass.bytes;
  p.floor = std::max(p.flops / (pass.conv.type == DType::bf16 ? card.products : card.fp32), p.bytes / card.bytes);
  const auto tile = kernel_tile(kernel.kernel);
  Load load = tile ? tiled(pass, kernel, *tile, card, resources) : listed(pass, kernel, card, resources);
  p.function = load.function;
  p.threads = load.threads;
  p.registers = load.resources.registers;
  p.shared = load.shared + load.resources.static_shared;
  p.resident = occupancy(multiprocessor_of(card.sm), p.threads, p.registers, p.shared);
  p.blocks = load.blocks;
  const int64_t places = int64_t(card.multiprocessors) * p.resident.blocks;
  p.waves = ceil_of(p.blocks, places);
  p.wave_efficiency = double(p.blocks) / (double(p.waves) * double(places));

  // The busiest multiprocessor decides.
  const int on_one = ceil_of(p.blocks, card.multiprocessors), warps_of_block = ceil_of(p.threads, kWarp);
  const int together = std::min(on_one, p.resident.blocks);
  const double busy = std::min(1.0, double(together * warps_of_block) / kWarpsForFullRate);
  const double start = double(p.waves) * together * load.start_flops;
  p.products = (on_one * load.flops + start) / (load.rate / card.multiprocessors * busy);
  p.issue = on_one * warps_of_block * load.instructions / (kSchedulers * kIssueShare * clock_of(card) * busy);
  p.cache_bytes = double(p.blocks) * load.cache_bytes;
  p.cache = p.cache_bytes / card.cache;
  p.memory = (p.bytes + load.partials) / card.bytes;
  p.seconds = std::max({p.products, p.memory, p.cache, p.issue});
  p.bound = p.seconds == p.products ? "products"
            : p.seconds == p.memory ? "memory"
            : p.seconds == p.cache  ? "cache"
                                    : "instructions";
  p.seconds += kLaunch;
  // The kernels behind the first read its partial results again and write the result.
  if (load.partials > 0) p.seconds += (load.partials + load.results) / card.bytes + kLaunch * load.kernels_behind;
  p.bytes += 2 * load.partials;
  return p;
}

std::vector<Prediction> predictions(const LayerPass& pass, const Card& card, const ResourceTable& resources) {
  // The launchers' choices are the architecture's, and some grids the card's.
  struct Emulated {
    emulator::Options before = emulator::options();
    ~Emulated() { emulator::options() = before; }
  } emulated;
  emulator::options().sm = card.sm;
  emulator::options().multiprocessors = card.multiprocessors;
  std::vector<Prediction> all;
  for (const KernelChoice& kernel : conv2d_choices(pass.conv, pass.pass, {Device::emulator, nullptr, {}}))
    all.push_back(predict(pass, kernel, card, resources));
  return all;
}

double seconds_of_other(const Graph& graph, const Node& node, const Card& card) {
  return least_bytes(graph, node) / card.bytes + kLaunch;
}

}  // namespace doppel::bench
