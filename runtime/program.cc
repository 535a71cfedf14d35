#include "runtime/program.h"

#include <cstdio>
#include <stdexcept>

#include "kernels/adam.h"
#include "runtime/error.h"
#include "runtime/kernel_cache.h"

namespace doppel {

Program::Program(Graph graph, Stream stream, bool dry)
    : graph_(std::move(graph)), stream_(stream), plan_(make_plan(graph_, stream)), bound_(graph_.values.size()) {
  if (!dry) arena_ = Buffer(plan_.arena_bytes, stream, Fresh::anything);
}

void Program::bind(ValueId external, void* memory) {
  if (graph_[external].role != Role::external) throw std::logic_error(graph_[external].name + " is not external");
  bound_[size_t(external)] = memory;
  calls_.clear();
  recorded_ = {};
}

void* Program::data(ValueId v) const {
  size_t offset = 0;
  for (; graph_[v].base != kNoValue; v = graph_[v].base) offset += graph_[v].offset;
  const Value& owner = graph_[v];
  char* base = owner.role == Role::external ? static_cast<char*>(bound_[size_t(v)])
                                            : arena_.as<char>() + plan_.offset[size_t(v)];
  if (!base) throw std::logic_error(owner.name + " is not bound");
  return base + offset;
}

void Program::resolve() {
  if (!calls_.empty()) return;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    Arguments call;
    for (ValueId v : graph_.nodes[i].in) call.in.push_back(data(v));
    for (ValueId v : graph_.nodes[i].out) call.out.push_back(data(v));
    call.workspace = arena_.as<char>() + plan_.workspace[i];
    call.stream = stream_;
    calls_.push_back(std::move(call));
  }
}

void Program::run_nodes() {
  for (size_t i = 0; i < calls_.size(); ++i) graph_.nodes[i].op->run(calls_[i]);
}

void Program::run() {
  resolve();
  // A card's default stream cannot be recorded.
  const bool records = stream_.device == Device::emulator || (stream_.device == Device::cuda && stream_.handle);
  if (records && has_run_) {
    if (!recorded_) recorded_ = DeviceGraph(stream_, [this] { run_nodes(); });
    recorded_.launch(stream_);
    return;
  }
  run_nodes();
  has_run_ = true;
}

void Program::run_checked() {
  resolve();
  for (size_t i = 0; i < calls_.size(); ++i) {
    const Node& node = graph_.nodes[i];
    node.op->run(calls_[i]);
    for (size_t k = 0; k < node.out.size(); ++k) {
      const Value& value = graph_[node.out[k]];
      if (value.type == DType::u8) continue;
      const int64_t at = first_nonfinite(calls_[i].out[k], value.shape.elements(), value.type, stream_);
      if (at >= 0)
        throw Error("node " + std::to_string(i) + " (" + node.op->name() + "): " + value.name + " " +
                    to_string(value.shape) + " is not finite at element " + std::to_string(at) +
                    "; use a smaller --lr, or --precision fp32");
    }
  }
}

void Program::run_each(const std::function<void(size_t, const std::function<void()>&)>& around) {
  resolve();
  for (size_t i = 0; i < calls_.size(); ++i) around(i, [&] { graph_.nodes[i].op->run(calls_[i]); });
}

void Program::spoil() {
  const std::vector<char> nan(arena_.bytes(), char(0xFF));
  upload(arena_.data(), nan.data(), nan.size(), stream_);
}

std::vector<double> Program::run_timed() {
  std::vector<DeviceEvent> between;
  for (size_t i = 0; i <= graph_.nodes.size(); ++i) between.emplace_back(stream_.device);
  between[0].record(stream_);
  run_each([&](size_t i, const std::function<void()>& run) {
    run();
    between[i + 1].record(stream_);
  });
  std::vector<double> seconds;
  for (size_t i = 0; i + 1 < between.size(); ++i) seconds.push_back(between[i + 1].seconds_since(between[i]));
  return seconds;
}

std::string Program::describe() const {
  std::string text;
  char line[256];
  int fused = 0;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    const Value& out = graph_[node.out.front()];
    const std::string with = node.op->fused();
    fused += !with.empty();
    const size_t workspace = node.op->workspace(stream_);
    std::snprintf(line, sizeof line, "%4zu  %-24s %-28s %-18s %-4s", i, node.op->name().c_str(), out.name.c_str(),
                  to_string(out.shape).c_str(), name_of(out.type));
    text += line;
    if (graph_[graph_.owner(node.out.front())].role != Role::external) {
      std::snprintf(line, sizeof line, " @%-11zu", plan_.offset[size_t(graph_.owner(node.out.front()))]);
      text += line;
    }
    if (workspace) text += "  workspace " + std::to_string(workspace);
    if (!with.empty()) text += "  + " + with;
    if (const KernelChoice choice = node.op->choice(); choice != KernelChoice{}) text += "  by " + to_string(choice);
    text += '\n';
  }
  std::snprintf(line, sizeof line, "%zu nodes, %d of them fused; arena %zu bytes (live at most %zu)\n",
                graph_.nodes.size(), fused, plan_.arena_bytes, plan_.peak_live_bytes);
  return text + line;
}

}  // namespace doppel
