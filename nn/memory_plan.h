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
  bool on_card = false;    // the step, with a copy of the face sets, is on a card, the rest on the host

  size_t step() const { return weights + gradients + optimizer + activations; }
  // What the device of the steps needs: a card its part, else everything is the host's.
  size_t device() const { return on_card ? step() + faces : host(); }
  size_t host() const { return (on_card ? 0 : step()) + preview + faces + process; }
};

MemoryPlan plan_memory(const StepOptions& options, size_t face_bytes, int preview_rows);

// The largest batch (samples per person) whose plan needs no more than `bytes` of the steps' device; 0 when not even 1
// does. Activations grow linearly with the batch, so it is found from two dry plans.
int largest_batch(StepOptions options, size_t face_bytes, int preview_rows, size_t bytes);

// Of `batch` samples per person, by the same two dry plans: for batches too large to plan in full.
size_t estimate_activations(StepOptions options, int batch);

// "2100 MiB: weights 400, gradients 200, ...", for a card with what the host needs behind it.
std::string to_string(const MemoryPlan& plan);

}  // namespace doppel
