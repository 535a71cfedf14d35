#include "nn/step_forecast.h"

#include <algorithm>

#include "runtime/device.h"
#include "runtime/plan.h"
#include "runtime/recompute.h"

namespace doppel {
namespace {

StepBytes split(const Graph& g, size_t arena) {
  const size_t values = std::min(value_bytes(g), arena);
  return {values, arena - values, {}, flops(g)};
}

// A card's workspaces follow from shapes alone, and the emulator has its launchers in a build that has no others.
Stream workspace_stream(Stream stream) {
  if (stream.device == Device::cuda && !built_for_cards()) stream.device = Device::emulator;
  return stream;
}

}  // namespace

StepForecast::StepForecast(const StepOptions& options, std::shared_ptr<ParameterLayout> layout)
    : options_(options), layout_(std::move(layout)) {
  options_.recomputed.clear();
}

Graph StepForecast::traced(int batch) const {
  StepOptions options = options_;
  options.batch = batch;
  return TrainingStep::traced(options, layout_);
}

size_t StepForecast::values(int batch) const {
  return value_bytes(traced(batch));
}

std::string StepForecast::problem(int batch) const {
  return size_problem(traced(batch));
}

int StepForecast::largest_without_problem(int limit) const {
  int takes = 0, too_many = limit + 1;
  for (int guess = limit; too_many - takes > 1; guess = takes + (too_many - takes) / 2)
    (problem(guess).empty() ? takes : too_many) = guess;
  return takes;
}

size_t StepForecast::line(int batch) {
  if (!has_line_) {
    line_from_ = double(plain(kLineFrom, false).workspace);
    line_to_ = double(plain(kLineTo, false).workspace);
    has_line_ = true;
  }
  const double slope = std::max(0.0, (line_to_ - line_from_) / (kLineTo - kLineFrom));
  return size_t(line_to_ + slope * (batch - kLineTo));
}

StepBytes StepForecast::plain(int batch, bool foreseen) {
  const Graph g = traced(batch);
  if (foreseen && batch > kLineTo) return split(g, value_bytes(g) + line(batch));
  return split(g, make_plan(g, workspace_stream(options_.stream)).arena_bytes);
}

StepBytes StepForecast::recomputed(int batch, size_t limit, bool foreseen) {
  const Graph g = traced(batch);
  ArenaBytes arena;
  Workspaces workspaces(workspace_stream(options_.stream));
  if (foreseen && batch > kLineTo)
    arena = [workspace = line(batch)](const Graph& graph) { return value_bytes(graph) + workspace; };
  else
    arena = [&](const Graph& graph) { return make_plan(graph, workspaces).arena_bytes; };
  const Recomputation choice = choose_recomputation(g, limit, arena);
  StepBytes bytes = split(recompute(g, choice.values), choice.bytes);
  bytes.recomputed = choice.values;
  return bytes;
}

}  // namespace doppel
