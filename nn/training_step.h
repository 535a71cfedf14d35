// One training step as a program: draw, encode all people's pictures at once, decode each person's rows (a layer of all
// decoders is one node), losses, backward, optimiser.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "nn/architecture.h"
#include "nn/parameters.h"
#include "runtime/program.h"
#include "runtime/recompute.h"
#include "runtime/tuner.h"

namespace doppel {

// Whether values of the forward pass are given up and computed again in the backward pass (runtime/recompute.h):
// automatic: when the step would not fit otherwise, and no more of them than must be; on: until the arena is smallest.
enum class Recompute { off, automatic, on };

struct StepOptions {
  Architecture arch;
  std::vector<std::string> people;  // sample i belongs to person i / batch
  int batch = 0;                    // samples per person
  DType precision = DType::bf16;
  Recompute recompute = Recompute::automatic;  // what plan_memory() may choose
  std::vector<ValueId> recomputed;             // its choice, which is what the step does; results keep every bit
  bool draw = true;                            // false: the host gives the pictures with set_batch()
  Stream stream = {};                          // where the step runs
  Tuning tuning = {};                          // how its kernels are chosen; a dry step's are not
};

// In which previews, which run on the CPU, are computed: as the step, unless only a card can do that quickly.
DType preview_precision(const StepOptions& options);

class TrainingStep {
 public:
  // `faces` must outlive the step, its pixels lie on the device; null unless options.draw. A dry step knows its bytes
  // but cannot run.
  TrainingStep(const StepOptions& options, std::shared_ptr<ParameterLayout> layout, const WarpFaces* faces,
               bool dry = false);
  // A step's graph, not planned yet: what is known of it without asking a kernel.
  static Graph traced(const StepOptions& options, std::shared_ptr<ParameterLayout> layout);

  // Both on the stream's device.
  void bind(ParameterStore& store, StepState* state);
  // From the host: [people * batch, size, size, 3] each, 0..1.
  void set_batch(const float* input, const float* target);
  Program& program() { return *program_; }

  struct Loss {
    float total, l1, mse, dssim;
  };
  // Of each person, as of the last run. Waits for it.
  std::vector<Loss> losses() const;
  // The same to [people], when the stream has come so far: download() of runtime/device.h.
  void fetch_losses(Loss* to) const;
  // The norm of the gradient, likewise. Where it is not usable (kernels/adam.h) the step has changed no weight.
  void fetch_norm(float* to) const;

  int fused_nodes() const { return fused_; }
  int dropped_nodes() const { return dropped_; }
  // Of one replay: convolutions and matrix products.
  double flops() const { return doppel::flops(program_->graph()); }

 private:
  explicit TrainingStep(const StepOptions& options) : options_(options) {}
  Graph trace(std::shared_ptr<ParameterLayout> layout, const WarpFaces* faces);

  StepOptions options_;
  std::unique_ptr<Program> program_;
  ValueId state_ = kNoValue, input_ = kNoValue, target_ = kNoValue;
  OptimizerArenas arenas_;
  ValueId losses_ = kNoValue;  // [people, 4]
  int fused_ = 0, dropped_ = 0;
};

// Declares every parameter of the model in the order that numbers them: encoder, then the people's decoders.
std::shared_ptr<ParameterLayout> declare_parameters(const Architecture& arch, const std::vector<std::string>& people);

}  // namespace doppel
