// The arena that a training step needs, before there is one: in full, by asking every kernel, or foreseen from smaller
// batches, so that a batch far beyond the machine is judged as fast as a small one.
#pragma once

#include <memory>
#include <vector>

#include "nn/training_step.h"

namespace doppel {

struct StepBytes {
  size_t values = 0;                // forward and backward
  size_t workspace = 0;             // what the nodes' scratch memory adds to the arena
  std::vector<ValueId> recomputed;  // StepOptions::recomputed
  double flops = 0;                 // of one step, what is computed again included
};

class StepForecast {
 public:
  // From the second of these on a batch can be foreseen: workspaces grow by the same bytes with every sample.
  static constexpr int kLineFrom = 128, kLineTo = 256;

  // Of steps with these options but for the batch and StepOptions::recomputed.
  StepForecast(const StepOptions& options, std::shared_ptr<ParameterLayout> layout);

  // The values alone; asks no kernel.
  size_t values(int batch) const;
  // "", or why a step of that batch cannot run however much memory there is: size_problem() of runtime/plan.h.
  std::string problem(int batch) const;
  // The largest batch up to `limit` that has none; 0 when all have.
  int largest_without_problem(int limit) const;
  // With nothing computed again.
  StepBytes plain(int batch, bool foreseen);
  // With what choose_recomputation() of runtime/recompute.h gives up for that limit of the arena.
  StepBytes recomputed(int batch, size_t limit, bool foreseen);

 private:
  Graph traced(int batch) const;
  // The workspace that is foreseen for a batch of kLineTo or more.
  size_t line(int batch);

  StepOptions options_;
  std::shared_ptr<ParameterLayout> layout_;
  bool has_line_ = false;
  double line_from_ = 0, line_to_ = 0;  // workspaces of the batches kLineFrom and kLineTo
};

}  // namespace doppel
