// Wrong kernels, each with one defect of a known class, and a twin of each that is right.
#pragma once

#include <vector>

#include "kernels/emulator/emulator.h"
#include "kernels/stream.h"

namespace doppel::testing {

// What the planted kernels work on.
struct Ground {
  static constexpr int kSize = 1024;
  float* out;          // [kSize]
  const float* in;     // [kSize]
  unsigned* counters;  // [4], 0
  float* fresh;        // [kSize], holds nothing
};

struct Planted {
  // The kernel's name too. The line of its file that ends in "// <- name" is where the report must say it happens.
  const char* name;
  emulator::Defect defect;
  bool checked_only;  // whether it takes the checked build to see it
  void (*wrong)(const Ground&, Stream);
  void (*right)(const Ground&, Stream);
};
std::vector<Planted> planted_shared();     // defects_shared.cu
std::vector<Planted> planted_bounds();     // defects_bounds.cu
std::vector<Planted> planted_barriers();   // defects_barriers.cu
std::vector<Planted> planted_copies();     // defects_copies.cu
std::vector<Planted> planted_global();     // defects_global.cu
std::vector<Planted> planted_order();      // defects_order.cu
std::vector<Planted> planted_warps();      // defects_warps.cu
std::vector<Planted> planted_unwritten();  // defects_unwritten.cu
std::vector<Planted> planted_tma();        // defects_tma.cu; for sm_90
std::vector<Planted> planted_cluster();    // defects_cluster.cu; for sm_90
std::vector<Planted> planted_wgmma();      // defects_wgmma.cu; for sm_90
std::vector<Planted> planted_registers();  // defects_registers.cu; for sm_90

std::vector<Planted> planted_early();  // defects_early.cu; with emulator::Options::early_start

// One thread whose variables are more than its stack.
void run_out_of_stack(const Ground& ground, Stream stream);
// A kernel of which, if not `waits`, one thread never waits for those before it.
void leave_without_waiting(bool waits, Stream stream);

// Two blocks, of which each overwrites what the other reads. What is met first, a read or a copy that goes on, depends
// on the order of threads.
void run_counts_its_own_alone(const Ground& ground, Stream stream);

// For their files: the kernel `name` on a grid of `grid` blocks of `block` threads with `shared` bytes.
#define DOPPEL_PLANT(name, defect, checked_only, grid, block, shared, ...)                                    \
  Planted {                                                                                                   \
#name, defect, checked_only,                                                                                \
        [](const Ground& g, Stream s) {                                                                         \
          DOPPEL_KERNEL(name<false>).launch({grid, block, shared}, g.out, g.in __VA_OPT__(, ) __VA_ARGS__, s);  \
        },                                                                                                      \
        [](const Ground& g, Stream s) {                                                                         \
          DOPPEL_KERNEL(name<true>).launch({grid, block, shared}, g.out, g.in __VA_OPT__(, ) __VA_ARGS__, s);   \
        } \
  }

}  // namespace doppel::testing
