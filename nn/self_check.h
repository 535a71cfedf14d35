// Whether a device computes what the CPU does: two training steps of a network so small that this takes a moment.
#pragma once

#include <string>

#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel {

// Runs steps of the architecture "tiny" (nn/architecture.h) on the device and on the CPU, in fp32 and in bf16, from the
// same numbers: warp, both convolutions' backward passes, losses, clipping, Adam, copies to and fro. "" when of every
// step the losses, each parameter's gradient, and what Adam makes of the device's own gradients agree, else what
// differs or what the device failed with, on one line. Memory that a step writes before it reads is full of NaNs when
// it begins, so that a kernel that does not run shows. What it allocates is gone afterwards. Throws OutOfMemory where
// there is no room for it, and DeviceError where the device is lost: neither says anything of its arithmetic.
std::string self_check(Device device);

// How far from the CPU's what a device computes may be: relative_distance() of runtime/relative_distance.h. On the
// emulator, whose functions are the host's, tests/nn/test_devices.cc holds a step to 1e-5 and 1e-2 of the gradients,
// with a seed that allows that. A card's exp and cos have last bits of their own, and where a pixel is next to its
// target, a last bit decides on which side of an absolute value's corner it falls: of the P = 6144 values of the
// check's pictures one is worth 2 / sqrt(P), 2.5 %, of the gradient of an L1 loss, and was seen to move all gradients
// here by 0.8 % and a single parameter's by 1.5 %. So there is room for a few such. In bf16 each layer rounds as well;
// rounding all weights otherwise than they are, by up to 2^-9, moves the losses by 6e-4. What is wrong in a kernel is
// worth far more (tests/nn/test_self_check.cc).
struct StepBound {
  double loss;       // of all losses
  double gradient;   // of all gradients
  double parameter;  // of the gradient of each parameter
};
StepBound step_bound(DType precision);

}  // namespace doppel
