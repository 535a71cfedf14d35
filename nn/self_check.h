// Whether a device computes what the CPU does: two training steps of a network so small that this takes a moment.
#pragma once

#include <string>

#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel {

// Runs steps of the architecture "tiny" (nn/architecture.h) on the device and on the CPU, in fp32 and in bf16, from the
// same seed: warp, both convolutions' backward passes, losses, Adam, copies to and fro. "" when losses, gradients and
// moments agree, else what differs or what the device failed with, on one line. What it allocates is gone afterwards.
// Throws OutOfMemory where there is no room for it: that says nothing of the device's arithmetic.
std::string self_check(Device device);

// How far from the CPU's what a device computes may be, relative. On the emulator, whose functions are the host's,
// tests/nn/test_devices.cc holds a step to 1e-5 and 1e-2 of the gradients, with a seed that allows that: where a pixel
// is next to its target, or a unit next to 0, a last bit decides on which side of an absolute value's or leaky ReLU's
// corner it falls, which by itself is worth 1e-4 of all gradients here. A card's exp and cos have last bits of their
// own, so these bounds leave room for several such. What is wrong in a kernel is worth far more
// (tests/nn/test_self_check.cc).
struct StepBound {
  double loss;      // relative_distance() of runtime/relative_distance.h, of all losses
  double gradient;  // the same of all gradients
};
StepBound step_bound(DType precision);

}  // namespace doppel
