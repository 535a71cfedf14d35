// One training step to measure, on faces of noise (timing does not depend on what they show), and what was measured.
#pragma once

#include <string>
#include <vector>

#include "bench/peak.h"
#include "runtime/tuner.h"

namespace doppel::bench {

struct StepCase {
  std::string arch;
  int batch;  // per person, of two
  std::string precision;
};

struct NodeTime {
  std::string name, output;  // "conv2d", "encoder.conv0.y [128,32,32,128]"
  std::string kernel;        // to_string(KernelChoice); empty where there is nothing to choose
  double seconds;            // the median of a few replays, node by node
  double flops, bytes;       // of matrix products; bench/step_floor.h
  double floor;              // seconds; 0 where no peak is known
};

// What a step on the CPU reaches, next to the bare oneDNN products of the same layers.
struct CpuResult {
  StepCase what;
  double samples_per_s, gflops;
  double flops;         // of a step's matrix products
  double onednn_ratio;  // NaN in a build without oneDNN
  std::vector<NodeTime> nodes;
};
CpuResult measure_on_cpu(const StepCase& c, double budget, bool with_profile);

// What it reaches on a card, by kernels that are chosen as `tuning` says, before anything is measured. Times are of one
// step and medians over blocks of steps in which the host never waits.
struct DeviceResult {
  StepCase what;
  std::string device;
  double seconds;  // by the device's clock
  double wall;     // by the host's
  double submit;   // that the host spends to begin a step
  double flops;    // of a step's matrix products
  size_t memory;   // of the device, taken by the trainer and its first steps
  size_t planned;  // of these, what was known before
  Peak peak;
  double arithmetic_floor, memory_floor, floor;  // bench/step_floor.h, seconds
  std::vector<NodeTime> nodes;
};
DeviceResult measure_on_device(const StepCase& c, Device device, const Tuning& tuning, const Peak& peak, double budget,
                               bool with_profile);

// Some steps, node by node, under NVTX ranges for a profiler to show: one a step, in it one a node.
void run_with_ranges(const StepCase& c, Device device, const Tuning& tuning, int steps);

}  // namespace doppel::bench
