#include "nn/training_step.h"

#include <cstring>

#include "runtime/gradient.h"

namespace doppel {

TrainingStep::TrainingStep(const StepOptions& options, std::shared_ptr<ParameterLayout> layout, const WarpFaces* faces,
                           bool dry)
    : TrainingStep(options) {
  program_ = std::make_unique<Program>(trace(std::move(layout), faces), Stream{options.device}, dry);
}

Graph TrainingStep::traced(const StepOptions& options, std::shared_ptr<ParameterLayout> layout) {
  return TrainingStep(options).trace(std::move(layout), nullptr);
}

Graph TrainingStep::trace(std::shared_ptr<ParameterLayout> layout, const WarpFaces* faces) {
  const StepOptions& options = options_;
  const Architecture& a = options.arch;
  const int people = int(options.people.size()), batch = options.batch;
  Graph g(std::move(layout), options.precision);
  state_ = g.value("state", {}, DType::f32, Role::external);

  ValueId x;
  if (options.draw) {
    Warp w = a.warp;
    w.people = people;
    w.batch = batch;
    w.out_size = a.size;
    w.input_type = options.precision;
    const WarpOutputs drawn = warp(g, state_, w, faces);
    x = drawn.input;
    target_ = drawn.target;
  } else {
    const Shape shape{people * batch, a.size, a.size, 3};
    input_ = g.value("input", shape, DType::f32, Role::kept);
    target_ = g.value("target", shape, DType::f32, Role::kept);
    x = cast(g, input_);
  }
  const ValueId latent = encode(g, x, a);
  for (int p = 0; p < people; ++p) {
    const ValueId y = decode(g, g.slice(latent, p * batch, batch), a, options.people[size_t(p)]);
    losses_.push_back(
        image_loss(g, y, g.slice(target_, p * batch, batch), a.loss, "loss " + options.people[size_t(p)]));
  }
  fused_ = fuse(g);
  differentiate(g);
  arenas_ = append_adam(g, state_, a.adam);
  dropped_ = drop_dead_nodes(g);
  return g;
}

void TrainingStep::bind(ParameterStore& store, StepState* state) {
  const Graph& g = program_->graph();
  program_->bind(state_, state);
  program_->bind(g.weights, store.weights.data());
  program_->bind(g.gradients, store.gradients.data());
  if (g.copies != kNoValue) program_->bind(g.copies, store.copies.data());
  program_->bind(arenas_.m, store.m.data());
  program_->bind(arenas_.v, store.v.data());
  if (arenas_.average != kNoValue) program_->bind(arenas_.average, store.average.data());
}

void TrainingStep::set_batch(const float* input, const float* target) {
  const size_t bytes = program_->graph()[input_].bytes();
  std::memcpy(program_->data(input_), input, bytes);
  std::memcpy(program_->data(target_), target, bytes);
}

std::vector<TrainingStep::Loss> TrainingStep::losses() const {
  std::vector<Loss> all;
  for (ValueId v : losses_) {
    const float* l = static_cast<const float*>(program_->data(v));
    all.push_back({l[0], l[1], l[2], l[3]});
  }
  return all;
}

double TrainingStep::flops() const {
  double sum = 0;
  for (const Node& node : program_->graph().nodes) sum += node.op->flops();
  return sum;
}

std::shared_ptr<ParameterLayout> declare_parameters(const Architecture& arch, const std::vector<std::string>& people) {
  auto layout = std::make_shared<ParameterLayout>();
  Graph g(layout, DType::f32);
  const ValueId latent = encode(g, g.value("x", {1, arch.size, arch.size, 3}, DType::f32, Role::external), arch);
  for (const std::string& person : people) decode(g, latent, arch, person);
  return layout;
}

}  // namespace doppel
