#include "runtime/gradient.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "runtime/operators.h"

namespace doppel {

ValueId Backward::one_of(ValueId v) {
  return graph_.is_parameter(v) ? parameters_.try_emplace(graph_[v].name, v).first->second : v;
}

// A view's gradient is the same view of its owner's gradient, so that decoders write straight into the latent's rows.
ValueId Backward::gradient_value(ValueId v) {
  if (auto found = gradients_.find(v); found != gradients_.end()) return found->second;
  ValueId gradient;
  if (graph_.is_parameter(v)) {
    gradient = graph_.weight_gradient(v);
  } else if (const Value value = graph_[v]; value.base != kNoValue) {
    const ValueId base = gradient_value(value.base);
    Value view = graph_[base];
    view.shape = value.shape;
    view.base = base;
    view.offset = value.offset;
    view.name = "d " + value.name;
    graph_.values.push_back(view);
    gradient = ValueId(graph_.values.size()) - 1;
  } else {
    gradient = graph_.value("d " + value.name, value.shape, value.type);
  }
  gradients_[v] = gradient;
  return gradient;
}

ValueId Backward::of(ValueId v) const {
  if (written_.count(v)) return gradients_.at(v);
  return kNoValue;
}

void Backward::contribute(ValueId v, const std::function<void(ValueId)>& write) {
  if (!wanted(v)) return;
  v = one_of(v);
  const ValueId gradient = gradient_value(v);
  if (!written_.insert(v).second) {
    const Value like = graph_[gradient];
    const ValueId temporary = graph_.value("again " + like.name, like.shape, like.type);
    write(temporary);
    append_accumulate(graph_, gradient, temporary);
    return;
  }
  write(gradient);
  // A gradient written through views is complete once the views cover it.
  for (ValueId at = v; !graph_.is_parameter(v) && graph_[at].base != kNoValue;) {
    const ValueId base = graph_[at].base;
    covered_[base] += int64_t(graph_[at].bytes());
    if (covered_[base] > int64_t(graph_[base].bytes()))
      throw std::logic_error("views of " + graph_[base].name + " overlap: their gradients would be overwritten");
    if (covered_[base] < int64_t(graph_[base].bytes())) break;
    written_.insert(base);
    at = base;
  }
}

void Backward::contribute_all(const std::vector<ValueId>& parameters,
                              const std::function<void(const std::vector<ValueId>&)>& write) {
  std::vector<ValueId> gradients;
  std::vector<bool> again;
  for (const ValueId parameter : parameters) {
    const ValueId v = one_of(parameter);
    gradients.push_back(gradient_value(v));
    again.push_back(!written_.insert(v).second);
  }
  if (std::find(again.begin(), again.end(), true) == again.end()) return write(gradients);
  // The node cannot write some where they belong and others elsewhere: all go into a temporary that holds their places.
  size_t begin = SIZE_MAX, end = 0;
  for (const ValueId v : gradients) {
    begin = std::min(begin, graph_[v].offset);
    end = std::max(end, graph_[v].offset + graph_[v].bytes());
  }
  const DType type = graph_[gradients[0]].type;
  const Shape shape{1, 1, 1, int((end - begin) / size_of(type))};
  const ValueId temporary = graph_.value("again d " + graph_[parameters[0]].name, shape, type);
  std::vector<ValueId> targets;
  for (const ValueId v : gradients) {
    Value view = graph_[temporary];
    view.name = "again " + graph_[v].name;
    view.shape = graph_[v].shape;
    view.base = temporary;
    view.offset = graph_[v].offset - begin;
    graph_.values.push_back(view);
    targets.push_back(ValueId(graph_.values.size()) - 1);
  }
  write(targets);
  for (size_t i = 0; i < targets.size(); ++i)
    (again[i] ? append_accumulate : append_copy)(graph_, gradients[i], targets[i]);
}

void Backward::set(ValueId v, ValueId gradient) {
  if (!written_.insert(v).second) throw std::logic_error(graph_[v].name + " has two losses; give one node both");
  gradients_[v] = gradient;
}

void differentiate(Graph& graph) {
  Backward b(graph);
  graph.forward = graph.nodes.size();
  for (size_t i = graph.forward; i-- > 0;) {
    const Node node = graph.nodes[i];  // a copy: rules append to the list
    const bool wanted = std::any_of(node.out.begin(), node.out.end(), [&](ValueId v) { return b.wanted(v); });
    if (wanted) node.op->backward(b, node);
  }
}

int drop_dead_nodes(Graph& graph) {
  std::set<ValueId> live;
  std::vector<Node> kept;
  size_t forward = 0;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    const bool used = std::any_of(node.out.begin(), node.out.end(), [&](ValueId v) {
      const ValueId owner = graph.owner(v);
      return graph[owner].role != Role::activation || live.count(owner) != 0;
    });
    if (!used) continue;
    for (ValueId v : node.in) live.insert(graph.owner(v));
    kept.push_back(node);
    forward += i < graph.forward;
  }
  const int dropped = int(graph.nodes.size() - kept.size());
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
  graph.forward = forward;
  return dropped;
}

}  // namespace doppel
