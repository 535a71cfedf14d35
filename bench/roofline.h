// What a convolution or a dense layer should take on a card, worked out from its shape, its kernel and the card's
// published figures: predicted, not measured. For whoever has no card yet, and to be held against the first times.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/layers.h"
#include "kernels/conv2d.h"
#include "runtime/graph.h"

namespace doppel::bench {

// ---- cards ----------------------------------------------------------------------------------------------------------

struct Card {
  const char* name;
  int sm;  // 10 * major + minor
  int multiprocessors;
  double nominal;   // bf16 operations a second on tensor cores, sums in fp32, without sparsity: the data sheet's
  double products;  // of these what a large matrix product of a library reaches
  double bytes;     // of memory a second that a large copy reaches, read and written
  double cache;     // bytes a second from the L2 cache to all multiprocessors
  double fp32;      // operations a second without tensor cores: the data sheet's
};
// The first is what is predicted for unless somebody asks for another. Of the H200 `products` and `bytes` are what
// others have published (about 790 TFLOP/s, 4.3 TB/s), 0.80 and 0.90 of the data sheet; the other cards are taken to
// reach the same shares of theirs. `cache` is assumed, and decides much: the A100's is 5120 bytes a clock by its white
// paper, here 5/6 of that at the boost clock. The H200 is taken to be as wide at 1.75 GHz: 7.5 TB/s is also what tiles
// of 128 x 256 draw that make 640 TFLOP/s without multicast. The 4090: half as wide, at 2.5 GHz. `fp32` is all lanes at
// the boost clock, which clock_of() finds from it.
constexpr double kProductShare = 0.80, kCopyShare = 0.90;
constexpr Card kCards[] = {
    {"h200", 90, 132, 989e12, 790e12, 4.3e12, 7.5e12, 66.9e12},
    {"a100", 80, 108, 312e12, kProductShare * 312e12, kCopyShare * 2.039e12, 6.0e12, 19.5e12},
    {"rtx4090", 89, 128, 165e12, kProductShare * 165e12, kCopyShare * 1.008e12, 5.3e12, 82.6e12},
};
// Null when there is none of that name.
const Card* find_card(const std::string& name);

// What blocks on one multiprocessor share. CUDA C++ Programming Guide, "Technical Specifications per Compute
// Capability".
struct Multiprocessor {
  int threads, blocks;
  int shared;  // bytes
  int lanes;   // of fp32 arithmetic
  int registers = 65536;
};
Multiprocessor multiprocessor_of(int sm);
// Cycles a second: a lane multiplies and adds once in each.
double clock_of(const Card& card);

// ---- assumptions ----------------------------------------------------------------------------------------------------

// Of the data sheet's operations, while all is at hand. Hopper: mma.sync reaches about 65 %, wgmma about 86 %
// (published); no kernel is taken to go faster than a library's product. Elsewhere mma.sync is all there is.
constexpr double kMmaShareOnHopper = 0.65, kWgmmaShare = 0.86;
// Each of a multiprocessor's four schedulers issues an instruction a cycle at most. That in four cycles of five one is
// ready is a guess.
constexpr double kSchedulers = 4, kIssueShare = 0.8;
// Two warps for each of the four schedulers hide latencies; below, the rates fall in proportion.
constexpr int kWarpsForFullRate = 8;
// Steps of 32 products that a block needs to fill its pipeline and to store (as in kernels/conv2d_mma_plan.h).
constexpr double kStartSteps = 4;
// From the end of a kernel in a graph to the beginning of the next.
constexpr double kLaunch = 2e-6;

// ---- kernels --------------------------------------------------------------------------------------------------------

// Of a block, by the compiler: the table that a build with nvcc writes (cmake/ptxas_report.sh).
struct Resources {
  int registers = 0;      // of a thread
  int static_shared = 0;  // bytes
};
// By "file: kernel" and architecture. Empty when the file is not there.
using ResourceTable = std::map<std::pair<std::string, int>, Resources>;
ResourceTable read_resources(const std::string& path);

struct Occupancy {
  int blocks = 0;     // on one multiprocessor
  const char* limit;  // "registers", "shared", "threads" or "blocks"
};
// `registers` 0: unknown, and taken to limit nothing.
Occupancy occupancy(const Multiprocessor& m, int threads, int registers, int shared);

// ---- times ----------------------------------------------------------------------------------------------------------

// One of the three products of a layer, of all groups, as training runs it.
struct LayerPass {
  std::string layer;  // "encoder.conv0"
  Pass pass;
  Conv2d conv;   // a dense layer is the 1 x 1 convolution of pictures of one pixel
  double bytes;  // inputs read once and outputs written once
};
// Those of a step's graph, in the order of its forward pass.
std::vector<LayerPass> layer_passes(const Graph& graph);
// Those of a list of shapes.
std::vector<LayerPass> layer_passes(const Layers& layers);

struct Prediction {
  KernelChoice kernel;
  std::string function;  // of kernels without tiles of matrices: the one that does the work, "few_inputs_fprop_kernel"
  int64_t blocks = 0;
  int threads = 0, shared = 0;  // of a block; bytes
  int registers = 0;            // of a thread; 0: unknown
  Occupancy resident{0, ""};
  int waves = 0;                // rounds until all blocks have run
  double wave_efficiency = 0;   // blocks over the places of all rounds
  double flops = 0, bytes = 0;  // least; `bytes` with the partial results of split sums
  double cache_bytes = 0;       // from the L2 cache to shared memory; 0: not worked out
  double floor = 0;             // seconds: the larger of flops and least bytes at the card's peaks
  // Seconds by each limit alone. products: on tensor cores or in fp32 arithmetic; issue: the schedulers' instructions,
  // which kernels with tiles of matrices are taken not to lack.
  double products = 0, memory = 0, cache = 0, issue = 0;
  double seconds = 0;
  const char* bound = "";  // the largest of the four: "products", "memory", "cache", "instructions"
};
Prediction predict(const LayerPass& pass, const KernelChoice& kernel, const Card& card, const ResourceTable& resources);

// The choices of the launchers on such a card, the model's first.
std::vector<Prediction> predictions(const LayerPass& pass, const Card& card, const ResourceTable& resources);

// A node that multiplies nothing: its bytes at the card's speed and a launch.
double seconds_of_other(const Graph& graph, const Node& node, const Card& card);

}  // namespace doppel::bench
