// The trained numbers of a model and the optimiser's: one arena each, all laid out alike (runtime/graph.h).
#pragma once

#include <memory>

#include "kernels/adam.h"
#include "runtime/buffer.h"
#include "runtime/graph.h"

namespace doppel {

struct ParameterStore {
  std::shared_ptr<ParameterLayout> layout;
  Stream stream;     // of the device that the arenas lie on; what fills and reads them goes through it
  Buffer weights;    // f32 [elements] masters
  Buffer gradients;  // f32 [elements]
  Buffer m, v;       // f32 [elements] Adam's moments
  Buffer average;    // f32 [elements] running average of the weights; empty when the architecture keeps none
  Buffer copies;     // bf16 [elements] working copy; empty in fp32

  // What previews and swaps use.
  const Buffer& best() const { return average.bytes() ? average : weights; }
};

// All arenas a training run needs, zeroed, on the stream's device.
ParameterStore make_store(std::shared_ptr<ParameterLayout> layout, DType compute, bool with_average,
                          Stream stream = {});

// Draws every weight from U(-limit, limit) with Random(seed, 0, index of the parameter); biases and the rest are 0.
// The average starts equal to the weights.
void initialize(ParameterStore& store, uint64_t seed);

// copies = weights rounded; nothing in fp32.
void refresh_copies(ParameterStore& store);

}  // namespace doppel
