#include "nn/training_step.h"

#include "nn/preview.h"
#include "runtime/device.h"
#include "runtime/gradient.h"

namespace doppel {

TrainingStep::TrainingStep(const StepOptions& options, std::shared_ptr<ParameterLayout> layout, const WarpFaces* faces,
                           bool dry)
    : TrainingStep(options) {
  Graph graph = trace(std::move(layout), faces);
  if (!dry) choose_kernels(graph, options.stream, options.tuning);
  program_ = std::make_unique<Program>(std::move(graph), options.stream, dry);
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
  // In one piece, so that one copy fetches them all.
  losses_ = g.value("losses", {people, 1, 1, 4}, DType::f32, Role::kept);
  image_loss(g, decode_all(g, latent, a, options.people), target_, a.loss, losses_);
  fused_ = fuse(g);
  differentiate(g);
  arenas_ = append_adam(g, state_, a.adam);
  dropped_ = drop_dead_nodes(g);
  if (!options.recomputed.empty()) g = recompute(g, options.recomputed);
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
  upload(program_->data(input_), input, bytes, options_.stream);
  upload(program_->data(target_), target, bytes, options_.stream);
}

std::vector<TrainingStep::Loss> TrainingStep::losses() const {
  std::vector<Loss> all(options_.people.size());
  fetch_losses(all.data());
  wait(options_.stream);
  return all;
}

void TrainingStep::fetch_losses(Loss* to) const {
  static_assert(sizeof(Loss) == 4 * sizeof(float));
  download(to, program_->data(losses_), options_.people.size() * sizeof(Loss), options_.stream);
}

void TrainingStep::fetch_norm(float* to) const {
  download(to, program_->data(arenas_.norm), sizeof(float), options_.stream);
}

DType preview_precision(const StepOptions& options) {
  return options.stream.device == Device::cpu || has_bf16() ? options.precision : DType::f32;
}

std::shared_ptr<ParameterLayout> declare_parameters(const Architecture& arch, const std::vector<std::string>& people) {
  auto layout = std::make_shared<ParameterLayout>();
  Graph g(layout, DType::f32);
  const ValueId latent = encode(g, g.value("x", {1, arch.size, arch.size, 3}, DType::f32, Role::external), arch);
  for (const std::string& person : people) decode(g, latent, arch, person);
  return layout;
}

}  // namespace doppel
