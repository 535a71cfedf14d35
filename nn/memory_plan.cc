#include "nn/memory_plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "nn/preview.h"

namespace doppel {
namespace {

// From the first of these on, workspaces grow by the same bytes with every sample.
constexpr int kLineFrom = 128, kLineTo = 256;

struct StepBytes {
  size_t values, workspace;
};

// In full: asks every kernel.
StepBytes planned(StepOptions options, int batch, const std::shared_ptr<ParameterLayout>& layout) {
  options.batch = batch;
  const size_t values = value_bytes(TrainingStep::traced(options, layout));
  const size_t arena = TrainingStep(options, layout, nullptr, true).program().arena_bytes();
  return {std::min(values, arena), arena - std::min(values, arena)};
}

// The same, but for a large batch the workspace is that of two smaller ones, prolonged.
StepBytes foreseen(const StepOptions& options, const std::shared_ptr<ParameterLayout>& layout) {
  if (options.batch <= kLineTo) return planned(options, options.batch, layout);
  const double from = double(planned(options, kLineFrom, layout).workspace);
  const double to = double(planned(options, kLineTo, layout).workspace);
  const double slope = std::max(0.0, (to - from) / (kLineTo - kLineFrom));
  return {value_bytes(TrainingStep::traced(options, layout)), size_t(to + slope * (options.batch - kLineTo))};
}

// With no more of a device that is not the host than `budget`, or than streaming takes.
FacePlacement placed(FaceSets faces, const StepOptions& options, size_t budget) {
  faces.device_budget = std::min(faces.device_budget, budget);
  return place_faces(faces, options.batch, options.arch.warp.face_size, options.stream.device);
}

// All but the step itself, with all face sets streaming that can.
MemoryPlan around(const StepOptions& options, const std::shared_ptr<ParameterLayout>& layout, const FaceSets& faces,
                  int preview_rows) {
  const size_t arena = layout->elements * sizeof(float);
  MemoryPlan plan;
  plan.parameters = plan.gradients = arena;
  plan.optimizer = 2 * arena;
  if (options.precision == DType::bf16) plan.copies = arena / 2;
  if (options.arch.adam.ema_decay > 0) plan.average = arena;
  plan.on_card = options.stream.device == Device::cuda;
  plan.faces = placed(faces, options, 0);
  if (preview_rows > 0) {
    plan.preview = Inference(options.arch, layout, options.people, preview_rows * int(options.people.size()),
                             preview_precision(options), true)
                       .bytes();
    if (options.stream.device != Device::cpu) plan.preview += arena;  // the weights come to the host
  }
  plan.process = resident_memory();
  return plan;
}

void add_step(MemoryPlan& plan, const StepBytes& bytes) {
  plan.activations = bytes.values;
  plan.workspace = bytes.workspace;
  plan.process = resident_memory();  // the kernels that planning compiled are part of it now
}

}  // namespace

size_t MemoryPlan::total() const {
  size_t sum = 0;
  for (const auto& [name, bytes] : parts()) sum += bytes;
  return sum;
}

std::vector<std::pair<std::string, size_t>> MemoryPlan::parts() const {
  return {{"parameters", parameters}, {"gradients", gradients}, {"optimiser", optimizer},
          {"working copies", copies}, {"average", average},     {"activations", activations},
          {"workspace", workspace},   {"preview", preview},     {"face sets", faces.host + faces.device},
          {"program", process},       {"spare", spare}};
}

MemoryPlan plan_memory(const StepOptions& options, const FaceSets& faces, int preview_rows, size_t limit) {
  const auto layout = declare_parameters(options.arch, options.people);
  MemoryPlan plan = around(options, layout, faces, preview_rows);
  plan.activations = value_bytes(TrainingStep::traced(options, layout));
  add_step(plan, plan.device() > limit ? foreseen(options, layout) : planned(options, options.batch, layout));
  // Sets are copied to the device as far as the rest leaves room.
  const size_t others = plan.device() - plan.faces.device;
  plan.faces = placed(faces, options, limit - std::min(limit, others));
  return plan;
}

int largest_batch(StepOptions options, const FaceSets& faces, int preview_rows, size_t limit) {
  const auto layout = declare_parameters(options.arch, options.people);
  MemoryPlan plan = around(options, layout, faces, preview_rows);
  int fits = 0, too_many = kMostBatch + 1;
  // The bytes of a step are nearly base + slope * batch, so each guess is where the line through the last two plans
  // meets the limit.
  double batch_before = 0, bytes_before = 0;
  for (int guess = kLineTo; too_many - fits > 1;) {
    options.batch = guess;
    add_step(plan, foreseen(options, layout));
    plan.faces = placed(faces, options, 0);
    const size_t total = plan.device();
    (total <= limit ? fits : too_many) = guess;
    const double bytes = double(plan.activations + plan.workspace + plan.faces.device);
    const double slope = std::max(1.0, (bytes - bytes_before) / (guess - batch_before));
    const double meets = guess + (double(limit) - double(total)) / slope;
    batch_before = guess;
    bytes_before = bytes;
    guess = int(std::clamp(meets, double(fits + 1), double(too_many - 1)));
  }
  return fits;
}

size_t memory_there() {
  return available_memory() + resident_memory();
}

size_t host_face_budget(size_t memory) {
  return memory / 2;
}

std::string mib_text(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f MiB", double(bytes) / (1 << 20));
  return text;
}

std::string to_string(const MemoryPlan& plan) {
  std::string text = mib_text(plan.total());
  const char* before = ": ";
  for (const auto& [name, bytes] : plan.parts()) {
    if (bytes == 0) continue;
    const std::string amount = mib_text(bytes);
    text += before + name + " " + amount.substr(0, amount.find(' '));
    before = ", ";
  }
  if (plan.on_card) text += "; of all this " + mib_text(plan.device()) + " on the card";
  if (const int streaming = plan.faces.streaming(); streaming > 0)
    text += "; face sets that stream from the host: " + std::to_string(streaming) + " of " +
            std::to_string(plan.faces.streams.size());
  if (plan.faces.disk > 0) text += "; face sets of " + mib_text(plan.faces.disk) + " are in a file beside the model";
  return text;
}

}  // namespace doppel
