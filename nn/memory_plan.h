// What a training run needs, known before its first step.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nn/face_placement.h"
#include "nn/training_step.h"

namespace doppel {

// Bytes.
struct MemoryPlan {
  size_t parameters = 0;             // fp32 masters
  size_t gradients = 0;              // fp32
  size_t optimizer = 0;              // Adam's moments, fp32
  size_t copies = 0;                 // the bf16 working copy; none in fp32
  size_t average = 0;                // the running average of the parameters; none where the architecture keeps none
  size_t activations = 0;            // the step's values, forward and backward
  size_t workspace = 0;              // what the nodes' scratch memory adds to their arena
  size_t preview = 0;                // the preview's arena and working copy
  size_t checkpoint = 0;             // the copy that a checkpoint is written from; none: add_checkpoint_copy()
  FacePlacement faces;               // the face sets
  size_t process = 0;                // the program itself: code, libraries, compiled kernels
  size_t spare = size_t(256) << 20;  // thread stacks, a part of a checkpoint, what the system should keep

  // What is computed again so that the activations take no more than that, for StepOptions::recomputed; and the FLOPs
  // of a step, with and without.
  std::vector<ValueId> recomputed;
  double flops = 0, plain_flops = 0;
  double more_flops() const { return flops / plain_flops - 1; }

  bool on_card = false;  // the step, and what its device has of the face sets, is on a card, the rest on the host

  size_t total() const;
  // What the device of the steps needs: a card its part, else everything is the host's.
  size_t device() const { return on_card ? step() + faces.device + spare : total(); }
  size_t host() const { return on_card ? preview + checkpoint + faces.host + process + spare : total(); }
  // The bytes above with their names for people, in this order.
  std::vector<std::pair<std::string, size_t>> parts() const;

 private:
  size_t step() const { return parameters + gradients + optimizer + copies + average + activations + workspace; }
};

// Plans the step in full, which on the CPU compiles its kernels (a following TrainingStep of the same options finds
// them). Where the values alone are beyond `limit`, the workspace of a large batch is foreseen from smaller ones
// instead, so that a batch far beyond the machine is judged as fast as a small one. Chooses what is computed again, as
// options.recompute says: sets rather stream than that values are computed again. The device's part of the face sets
// takes what the rest leaves of `limit` and no more than their own budget; what does not fit into it streams. Throws
// UsageError, which names --batch, for a batch of more pixels than the kernels count. A step on a card can be planned
// in a build without CUDA. Throws OutOfMemory where the process may not have the memory that planning takes.
MemoryPlan plan_memory(const StepOptions& options, const FaceSets& faces, int preview_rows, size_t limit = SIZE_MAX);

// Where `host` bytes of the host hold it too, the copy that lets training go on while a checkpoint is written
// (nn/checkpoint_writer.h): a plan without it fits as well, and training waits.
void add_checkpoint_copy(MemoryPlan& plan, size_t host);

// The largest batch (samples per person, at most kMostBatch and what the kernels count) whose plan needs at most
// `limit` of the steps' device; 0 when not even 1 does. On a device that is not the host all face sets may stream for
// it, within their budget. Unless options.recompute is off, steps may compute as much again as makes them smallest.
constexpr int kMostBatch = 1 << 20;
int largest_batch(StepOptions options, const FaceSets& faces, int preview_rows, size_t limit);

// What a run of this process may have in all: what is free, and what the process holds already (which the plan counts).
size_t memory_there();

// Of a plan that computes values again: how many, and how much longer the step gets.
std::string recomputation_text(const MemoryPlan& plan);

// What decoded face sets may take of `memory` of the host before they are held in a file: half, since random faces of a
// file are read quickly only while the rest of the memory can keep them, and the step needs its part.
size_t host_face_budget(size_t memory);

// "512 MiB".
std::string mib_text(size_t bytes);
// "2150 MiB: parameters 400, gradients 200, ...", without the parts that are 0; with a card, how much of it is the
// card's; which face sets stream; how much of them is in a file.
std::string to_string(const MemoryPlan& plan);

}  // namespace doppel
