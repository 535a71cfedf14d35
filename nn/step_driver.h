// Runs training steps one after the other without waiting for any: each gets its learning rate on the way in, and its
// losses come back up to kLag steps later, so that a card always has work before it. Off the card a step has been done
// when start() returns.
#pragma once

#include <vector>

#include "nn/training_step.h"
#include "runtime/device.h"

namespace doppel {

class StepDriver {
 public:
  static constexpr int kLag = 32;

  // Binds the step to the store and to a StepState of its own. Both, and the stream, outlive the driver.
  StepDriver(TrainingStep& step, ParameterStore& store, int people, Stream stream);
  // Waits for what is under way, whatever became of it.
  ~StepDriver();
  StepDriver(const StepDriver&) = delete;
  StepDriver& operator=(const StepDriver&) = delete;

  // What the next step starts from. Waits.
  void set_state(const StepState& state);
  // The same as the device has it now. Waits.
  StepState state() const;

  // Begins a step. At most kLag may be pending. `checked`: node by node (Program::run_checked), which waits.
  void start(float learning_rate, bool checked);

  // Steps whose losses have not been taken.
  int pending() const { return int(started_ - taken_); }
  // Of the oldest of them, by person; waits for it.
  std::vector<TrainingStep::Loss> take_losses();
  // Whether the step that these are of changed the weights, or was left out as its gradient was not finite.
  bool was_taken() const { return was_taken_; }

 private:
  // What is under way for one of the pending steps.
  struct Slot {
    float* learning_rate;
    TrainingStep::Loss* losses;  // [people]
    float* norm;
    DeviceEvent done;
  };

  TrainingStep& step_;
  Stream stream_;
  int people_;
  Buffer state_;         // StepState
  PinnedBuffer rates_;   // f32 [slots]
  PinnedBuffer losses_;  // Loss [slots, people]
  PinnedBuffer norms_;   // f32 [slots], of the gradients
  std::vector<Slot> slots_;
  float learning_rate_ = 0;  // that the device has
  uint64_t started_ = 0, taken_ = 0;
  bool was_taken_ = true;
};

}  // namespace doppel
