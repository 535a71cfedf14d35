#include "nn/memory_plan.h"

#include <algorithm>
#include <cstdio>

#include "nn/preview.h"
#include "nn/step_forecast.h"
#include "runtime/error.h"
#include "runtime/host_memory.h"

namespace doppel {
namespace {

// With no more of a device that is not the host than `budget`, or than streaming takes.
FacePlacement placed(FaceSets faces, const StepOptions& options, size_t budget) {
  faces.device_budget = std::min(faces.device_budget, budget);
  return place_faces(faces, options.batch, options.arch.warp.face_size, options.stream.device);
}

// The smallest batch whose faces do not stay within their own budget of the device though all sets stream that can.
int first_batch_beyond(const FaceSets& faces, StepOptions options) {
  int within = 0, beyond = kMostBatch + 1;
  while (beyond - within > 1) {
    options.batch = within + (beyond - within) / 2;
    (placed(faces, options, 0).device <= faces.device_budget ? within : beyond) = options.batch;
  }
  return beyond;
}

// Planning asks oneDNN for kernels, which ends the process where it gets no memory for their code.
void check_room_to_plan() {
  const uint64_t room = process_limit_room(), least = MemoryPlan{}.spare;
  if (room < least)
    throw OutOfMemory("out of memory: the process's limit leaves " + mib_text(room) + ", and even a plan takes up to " +
                      mib_text(least) + "; raise the limit (ulimit -v, ulimit -d)");
}

// All but the step itself, with all face sets streaming that can.
MemoryPlan around(const StepOptions& options, const std::shared_ptr<ParameterLayout>& layout, const FaceSets& faces,
                  int preview_rows) {
  check_room_to_plan();
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
  plan.recomputed = bytes.recomputed;
  plan.flops = bytes.flops;
  plan.process = resident_memory();  // the kernels that planning compiled are part of it now
}

void check_size(const StepForecast& forecast, int batch) {
  const std::string problem = forecast.problem(batch);
  if (problem.empty()) return;
  throw UsageError("--batch " + std::to_string(batch) + ": " + problem + "; give at most --batch " +
                   std::to_string(forecast.largest_without_problem(kMostBatch)));
}

// The step, with what is computed again where options.recompute says so.
void add_chosen_step(MemoryPlan& plan, const StepOptions& options, const std::shared_ptr<ParameterLayout>& layout,
                     size_t limit) {
  StepForecast forecast(options, layout);
  check_size(forecast, options.batch);
  const size_t process = plan.process;
  plan.activations = forecast.values(options.batch);
  const StepBytes plain = forecast.plain(options.batch, plan.device() > limit);
  add_step(plan, plain);
  plan.plain_flops = plain.flops;
  if (options.recompute == Recompute::off) return;
  if (options.recompute == Recompute::automatic && plan.device() <= limit) return;
  size_t reserve = 0;
  const auto choose = [&](bool foreseen) {
    const size_t others = plan.device() - plan.activations - plan.workspace + reserve;
    const size_t arena = options.recompute == Recompute::on ? 0 : limit - std::min(limit, others);
    add_step(plan, forecast.recomputed(options.batch, arena, foreseen));
  };
  choose(true);
  // What seems to fit is planned in full.
  if (options.batch > StepForecast::kLineTo && plan.device() <= limit) choose(false);
  // Planning takes memory of the process too, which a choice that just fitted did not know of: it is made again, with
  // as much kept free.
  for (int more = 0; more < 2 && plan.device() > limit && plan.device() - limit + process <= plan.process; ++more) {
    reserve += plan.device() - limit;
    choose(false);
  }
}

}  // namespace

size_t MemoryPlan::total() const {
  size_t sum = 0;
  for (const auto& [name, bytes] : parts()) sum += bytes;
  return sum;
}

std::vector<std::pair<std::string, size_t>> MemoryPlan::parts() const {
  return {{"parameters", parameters}, {"gradients", gradients},
          {"optimiser", optimizer},   {"working copies", copies},
          {"average", average},       {"activations", activations},
          {"workspace", workspace},   {"preview", preview},
          {"checkpoint", checkpoint}, {"face sets", faces.host + faces.device},
          {"program", process},       {"spare", spare}};
}

MemoryPlan plan_memory(const StepOptions& options, const FaceSets& faces, int preview_rows, size_t limit) {
  const auto layout = declare_parameters(options.arch, options.people);
  MemoryPlan plan = around(options, layout, faces, preview_rows);
  add_chosen_step(plan, options, layout, limit);
  // Sets are copied to the device as far as the rest leaves room.
  const size_t others = plan.device() - plan.faces.device;
  plan.faces = placed(faces, options, limit - std::min(limit, others));
  return plan;
}

void add_checkpoint_copy(MemoryPlan& plan, size_t host) {
  const size_t copy = plan.parameters + plan.optimizer + plan.average, others = plan.host();
  if (others <= host && copy <= host - others) plan.checkpoint = copy;
}

int largest_batch(StepOptions options, const FaceSets& faces, int preview_rows, size_t limit) {
  const auto layout = declare_parameters(options.arch, options.people);
  MemoryPlan plan = around(options, layout, faces, preview_rows);
  StepForecast forecast(options, layout);
  int fits = 0,
      too_many = std::min(first_batch_beyond(faces, options), forecast.largest_without_problem(kMostBatch) + 1);
  // The bytes of a step are nearly base + slope * batch, so each guess is where the line through the last two plans
  // meets the limit.
  double batch_before = 0, bytes_before = 0;
  // A run compiles the kernels of one batch: what the search compiles beyond the first guess's is not the run's.
  size_t process = 0;
  for (int guess = std::min(StepForecast::kLineTo, too_many - 1); too_many - fits > 1;) {
    options.batch = guess;
    add_step(plan,
             options.recompute == Recompute::off ? forecast.plain(guess, true) : forecast.recomputed(guess, 0, true));
    if (process == 0) process = plan.process;
    plan.process = process;
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

std::string recomputation_text(const MemoryPlan& plan) {
  char text[160];
  std::snprintf(text, sizeof text,
                "%zu of the step's values are computed again in the backward pass: %.1f %% more FLOPs",
                plan.recomputed.size(), 100 * plan.more_flops());
  return text;
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
