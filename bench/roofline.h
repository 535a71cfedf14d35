// What a convolution or a dense layer should take on a card, worked out from its shape, its kernel and the card's
// published figures: predicted, not measured. For whoever has no card yet, and to be held against the first times.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

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
};
// The first is what is predicted for unless somebody asks for another. Of the H200 `products` and `bytes` are what
// others have published (about 790 TFLOP/s, 4.3 TB/s), 0.80 and 0.90 of the data sheet; the other cards are taken to
// reach the same shares of theirs. `cache` is assumed, and decides much: the A100's is 5120 bytes a clock by its white
// paper, here 5/6 of that at the boost clock. The H200 is taken to be as wide at 1.75 GHz: 7.5 TB/s is also what tiles
// of 128 x 256 draw that make 640 TFLOP/s without multicast. The 4090: half as wide, at 2.5 GHz.
constexpr double kProductShare = 0.80, kCopyShare = 0.90;
constexpr Card kCards[] = {
    {"h200", 90, 132, 989e12, 790e12, 4.3e12, 7.5e12},
    {"a100", 80, 108, 312e12, kProductShare * 312e12, kCopyShare * 2.039e12, 6.0e12},
    {"rtx4090", 89, 128, 165e12, kProductShare * 165e12, kCopyShare * 1.008e12, 5.3e12},
};
// Null when there is none of that name.
const Card* find_card(const std::string& name);

// What blocks on one multiprocessor share. CUDA C++ Programming Guide, "Technical Specifications per Compute
// Capability".
struct Multiprocessor {
  int threads, blocks;
  int shared;  // bytes
  int registers = 65536;
};
Multiprocessor multiprocessor_of(int sm);

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

struct Prediction {
  KernelChoice kernel;
  int64_t blocks = 0;           // 0: of a kernel without tiles of matrices, and so are the next ones
  int threads = 0, shared = 0;  // of a block; bytes
  int registers = 0;            // of a thread; 0: unknown
  Occupancy resident{0, ""};
  int waves = 0;                             // rounds until all blocks have run
  double wave_efficiency = 0;                // blocks over the places of all rounds
  double flops = 0, bytes = 0;               // least; `bytes` with the partial results of split sums
  double cache_bytes = 0;                    // from the L2 cache to shared memory
  double floor = 0;                          // seconds: the larger of flops and least bytes at the card's peaks
  double tensor = 0, memory = 0, cache = 0;  // seconds by each limit alone
  double seconds = 0;
  const char* bound = "";  // the largest of the three
};
Prediction predict(const LayerPass& pass, const KernelChoice& kernel, const Card& card, const ResourceTable& resources);

// The choices of the launchers on such a card, the model's first.
std::vector<Prediction> predictions(const LayerPass& pass, const Card& card, const ResourceTable& resources);

// A node that multiplies nothing: its bytes at the card's speed and a launch.
double seconds_of_other(const Graph& graph, const Node& node, const Card& card);

}  // namespace doppel::bench
