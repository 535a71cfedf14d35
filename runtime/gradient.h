// Reverse-mode differentiation of a traced graph: walks the nodes backwards; each operator's rule appends ordinary
// nodes.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runtime/graph.h"

namespace doppel {

// What an operator's rule works with.
class Backward {
 public:
  explicit Backward(Graph& graph) : graph_(graph) {}

  Graph& graph() { return graph_; }

  // The gradient of an output, complete by now; kNoValue when nothing downstream depends on it.
  ValueId of(ValueId v) const;

  bool wanted(ValueId v) const { return graph_[v].needs_gradient; }

  // Calls write(target) to append a node that writes (=) a gradient of `v` into `target`. The first writer's target is
  // the gradient itself; a later one's is a temporary that is then added, so that rules need not know who came first.
  // All views of a parameter are one: a layer that is traced twice has the sum of both uses' gradients.
  void contribute(ValueId v, const std::function<void(ValueId target)>& write);
  // The same for several different parameters, whose gradients one node writes as far apart as the parameters lie.
  void contribute_all(const std::vector<ValueId>& parameters,
                      const std::function<void(const std::vector<ValueId>& targets)>& write);

  // The gradient of `v` has been computed already, by the forward pass (a loss writes it in the same sweep).
  void set(ValueId v, ValueId gradient);

 private:
  // Of a parameter the view that was met first; else `v`.
  ValueId one_of(ValueId v);
  ValueId gradient_value(ValueId v);

  Graph& graph_;
  std::map<ValueId, ValueId> gradients_;  // of owners and of views
  std::set<ValueId> written_;
  std::map<std::string, ValueId> parameters_;  // by name
  std::map<ValueId, int64_t> covered_;         // bytes of an owner's gradient that slices have written

  friend void differentiate(Graph& graph);
};

// Appends the backward pass for every loss in the graph (a node that calls Backward::set).
void differentiate(Graph& graph);

// Removes nodes none of whose outputs is kept, external, or read by a node that stays. Returns how many.
int drop_dead_nodes(Graph& graph);

}  // namespace doppel
