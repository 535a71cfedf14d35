#include "nn/memory_plan.h"

#include <algorithm>
#include <cstdio>

#include "nn/preview.h"

namespace doppel {
namespace {

// Arena bytes as base + slope * batch, from the plans of two small batches.
struct Line {
  double base, slope;
};

Line activations_line(StepOptions options) {
  const auto layout = declare_parameters(options.arch, options.people);
  const auto bytes = [&](int batch) {
    options.batch = batch;
    return double(TrainingStep(options, layout, nullptr, true).program().arena_bytes());
  };
  const double small = bytes(4), large = bytes(8);
  return {std::max(0.0, 2 * small - large), (large - small) / 4};
}

MemoryPlan without_activations(const StepOptions& options, size_t face_bytes, int preview_rows) {
  const auto layout = declare_parameters(options.arch, options.people);
  const size_t arena = layout->elements * sizeof(float);
  MemoryPlan plan;
  plan.weights = arena + (options.arch.adam.ema_decay > 0 ? arena : 0);
  if (options.precision == DType::bf16) plan.weights += arena / 2;
  plan.gradients = arena;
  plan.optimizer = 2 * arena;
  if (preview_rows > 0) {
    plan.preview = Inference(options.arch, layout, options.people, preview_rows * int(options.people.size()),
                             preview_precision(options), true)
                       .bytes();
    if (options.stream.device != Device::cpu) plan.preview += arena;  // the weights come to the host
  }
  plan.on_card = options.stream.device == Device::cuda;
  // The emulator's copy is in the same memory.
  plan.faces = options.stream.device == Device::emulator ? 2 * face_bytes : face_bytes;
  plan.process = resident_memory();
  return plan;
}

}  // namespace

MemoryPlan plan_memory(const StepOptions& options, size_t face_bytes, int preview_rows) {
  MemoryPlan plan = without_activations(options, face_bytes, preview_rows);
  const auto layout = declare_parameters(options.arch, options.people);
  plan.activations = TrainingStep(options, layout, nullptr, true).program().arena_bytes();
  plan.process = resident_memory();  // the kernels that planning compiled are part of it now
  return plan;
}

size_t estimate_activations(StepOptions options, int batch) {
  const Line line = activations_line(std::move(options));
  return size_t(line.base + line.slope * batch);
}

int largest_batch(StepOptions options, size_t face_bytes, int preview_rows, size_t bytes) {
  const Line line = activations_line(options);
  const double fixed = double(without_activations(options, face_bytes, preview_rows).device()) + line.base;
  if (double(bytes) < fixed + line.slope) return 0;
  return int(std::min(1e6, (double(bytes) - fixed) / line.slope));
}

std::string to_string(const MemoryPlan& plan) {
  const auto mib = [](size_t bytes) { return double(bytes) / (1 << 20); };
  char text[320];
  if (plan.on_card) {
    std::snprintf(
        text, sizeof text,
        "%.0f MiB of the card: weights %.0f, gradients %.0f, optimiser %.0f, activations %.0f, face sets %.0f; "
        "%.0f MiB of the host: preview %.0f, face sets %.0f, program %.0f",
        mib(plan.device()), mib(plan.weights), mib(plan.gradients), mib(plan.optimizer), mib(plan.activations),
        mib(plan.faces), mib(plan.host()), mib(plan.preview), mib(plan.faces), mib(plan.process));
    return text;
  }
  std::snprintf(text, sizeof text,
                "%.0f MiB: weights %.0f, gradients %.0f, optimiser %.0f, activations %.0f, preview %.0f, face sets "
                "%.0f, program %.0f",
                mib(plan.host()), mib(plan.weights), mib(plan.gradients), mib(plan.optimizer), mib(plan.activations),
                mib(plan.preview), mib(plan.faces), mib(plan.process));
  return text;
}

}  // namespace doppel
