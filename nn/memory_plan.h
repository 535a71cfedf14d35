// What a training run needs, known before its first step.
#pragma once

#include <string>

#include "nn/training_step.h"

namespace doppel {

struct MemoryPlan {
  size_t weights = 0;  // masters, running average, bf16 copy
  size_t gradients = 0;
  size_t optimizer = 0;    // Adam's moments
  size_t activations = 0;  // the step's arena with all scratch memory
  size_t preview = 0;      // the preview's arena and weights
  size_t faces = 0;        // the face sets
  size_t process = 0;      // the program itself: code, libraries, compiled kernels

  size_t total() const { return weights + gradients + optimizer + activations + preview + faces + process; }
};

MemoryPlan plan_memory(const StepOptions& options, size_t face_bytes, int preview_rows);

// The largest batch (samples per person) whose plan stays within `bytes`; 0 when not even 1 does. Activations grow
// linearly with the batch, so it is found from two dry plans.
int largest_batch(StepOptions options, size_t face_bytes, int preview_rows, size_t bytes);

// Of `batch` samples per person, by the same two dry plans: for batches too large to plan in full.
size_t estimate_activations(StepOptions options, int batch);

// "2.1 GiB: weights 0.4, gradients 0.2, ..."
std::string to_string(const MemoryPlan& plan);

}  // namespace doppel
