// What a launch may ask for, by the architecture that it runs on. CUDA C++ Programming Guide, "Compute Capabilities",
// table "Technical Specifications per Compute Capability".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace doppel {

struct LaunchLimits {
  int sm;                     // 10 * major + minor
  int threads_per_block;      // at most
  size_t shared_static;       // bytes of static shared memory per block, at most
  size_t shared_with_opt_in;  // bytes of static and dynamic shared memory per block together, at most
};

constexpr LaunchLimits kLaunchLimits[] = {
    {80, 1024, 48 << 10, 163 << 10}, {86, 1024, 48 << 10, 99 << 10},  {89, 1024, 48 << 10, 99 << 10},
    {90, 1024, 48 << 10, 227 << 10}, {120, 1024, 48 << 10, 99 << 10},
};

// The entry of `sm`, or of the next older architecture for one that is not in the table; never older than sm_80.
constexpr const LaunchLimits& launch_limits(int sm) {
  const LaunchLimits* found = &kLaunchLimits[0];
  for (const LaunchLimits& a : kLaunchLimits)
    if (a.sm <= sm) found = &a;
  return *found;
}

// Registers that each thread of a kernel may have by its launch bounds: the 65536 of a processor by all threads that
// are to fit, in steps of 8. The same on every architecture of the table.
constexpr int registers_per_thread(int threads, int blocks = 1) {
  const int warps = (threads + 31) / 32, share = 65536 / (32 * warps * blocks) / 8 * 8;
  return share < 256 ? share : 256;
}

// Extents of a launch, x, y, z.
struct LaunchExtents {
  unsigned grid[3], block[3];
  size_t shared;     // bytes, dynamic and, where it is known, static
  int bound = 1024;  // threads of a block that the kernel was compiled for, __launch_bounds__
  int cluster = 1;   // blocks that run together, along x
};

// Blocks of a cluster, at most, on any device of sm_90 or newer.
constexpr int kMostCluster = 8;

// Blocks along the second and third axis of a grid, at most.
constexpr unsigned kMostBlocksYZ = 65535;

// "" when a card of this architecture takes the launch, else what is wrong with it.
inline std::string launch_problem(const LaunchExtents& e, const LaunchLimits& a) {
  constexpr unsigned kGrid[3] = {0x7FFFFFFFu, kMostBlocksYZ, kMostBlocksYZ}, kBlock[3] = {1024, 1024, 64};
  constexpr char kAxis[] = "xyz";
  const std::string on = " on sm_" + std::to_string(a.sm);
  for (int i = 0; i < 3; ++i) {
    const auto beyond = [&](const char* what, unsigned value, unsigned limit) {
      return std::string(what) + "." + kAxis[i] + " is " + std::to_string(value) + ", must be 1 .. " +
             std::to_string(limit) + on;
    };
    if (e.grid[i] < 1 || e.grid[i] > kGrid[i]) return beyond("grid", e.grid[i], kGrid[i]);
    if (e.block[i] < 1 || e.block[i] > kBlock[i]) return beyond("block", e.block[i], kBlock[i]);
  }
  if (e.cluster < 1 || e.cluster > kMostCluster || e.grid[0] % unsigned(e.cluster) != 0)
    return "clusters of " + std::to_string(e.cluster) + " blocks, must be 1 .. " + std::to_string(kMostCluster) +
           " and divide grid.x, which is " + std::to_string(e.grid[0]);
  if (e.cluster > 1 && a.sm < 90) return "clusters of " + std::to_string(e.cluster) + " blocks, there are none" + on;
  const uint64_t threads = uint64_t(e.block[0]) * e.block[1] * e.block[2];
  if (threads > uint64_t(a.threads_per_block))
    return std::to_string(threads) + " threads in a block, at most " + std::to_string(a.threads_per_block) + on;
  if (threads > uint64_t(e.bound))
    return std::to_string(threads) + " threads in a block, at most " + std::to_string(e.bound) +
           " by its __launch_bounds__";
  if (e.shared > a.shared_with_opt_in)
    return std::to_string(e.shared) + " bytes of shared memory, at most " + std::to_string(a.shared_with_opt_in) + on;
  return "";
}

}  // namespace doppel
