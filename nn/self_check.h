// Whether a device computes what the CPU does: two training steps of a network so small that this takes a moment.
#pragma once

#include <string>

#include "kernels/stream.h"

namespace doppel {

// Runs steps of the architecture "tiny" (nn/architecture.h) on the device and on the CPU, in fp32 and in bf16, from the
// same seed: warp, both convolutions' backward passes, losses, Adam, copies to and fro. "" when losses, gradients and
// moments agree, else what differs or what the device failed with, on one line. What it allocates is gone afterwards.
// Throws OutOfMemory where there is no room for it: that says nothing of the device's arithmetic.
std::string self_check(Device device);

}  // namespace doppel
