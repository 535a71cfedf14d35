#include "nn/step_driver.h"

#include <cstddef>
#include <stdexcept>

namespace doppel {

StepDriver::StepDriver(TrainingStep& step, ParameterStore& store, int people, Stream stream)
    : step_(step),
      stream_(stream),
      people_(people),
      state_(sizeof(StepState), stream),
      rates_(size_t(kLag + 1) * sizeof(float), stream.device),
      losses_(size_t(kLag + 1) * size_t(people) * sizeof(TrainingStep::Loss), stream.device),
      norms_(size_t(kLag + 1) * sizeof(float), stream.device) {
  for (int i = 0; i <= kLag; ++i)
    slots_.push_back({rates_.as<float>() + i, losses_.as<TrainingStep::Loss>() + i * people, norms_.as<float>() + i,
                      DeviceEvent(stream.device)});
  step_.bind(store, state_.as<StepState>());
}

StepDriver::~StepDriver() {
  try {
    wait(stream_);
  } catch (const std::exception&) {
    // A device that failed is told of where the losses are asked for, and a lost one does no more harm to our memory.
  }
}

void StepDriver::set_state(const StepState& state) {
  upload(state_.data(), &state, sizeof state, stream_);
  wait(stream_);
  learning_rate_ = state.lr;
}

StepState StepDriver::state() const {
  StepState state;
  download(&state, state_.data(), sizeof state, stream_);
  wait(stream_);
  return state;
}

void StepDriver::start(float learning_rate, bool checked) {
  if (pending() > kLag) throw std::logic_error("a step is started before the losses of earlier ones were taken");
  Slot& slot = slots_[started_ % slots_.size()];
  if (learning_rate != learning_rate_) {
    *slot.learning_rate = learning_rate_ = learning_rate;
    upload(state_.as<char>() + offsetof(StepState, lr), slot.learning_rate, sizeof(float), stream_);
  }
  checked ? step_.program().run_checked() : step_.program().run();
  step_.fetch_losses(slot.losses);
  step_.fetch_norm(slot.norm);
  slot.done.record(stream_);
  ++started_;
}

std::vector<TrainingStep::Loss> StepDriver::take_losses() {
  if (pending() == 0) throw std::logic_error("all losses have been taken");
  const Slot& slot = slots_[taken_++ % slots_.size()];
  slot.done.wait();
  was_taken_ = is_usable(*slot.norm);
  return {slot.losses, slot.losses + people_};
}

}  // namespace doppel
