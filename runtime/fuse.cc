#include "runtime/activation_operator.h"
#include "runtime/matrix_operators.h"
#include "runtime/operators.h"

namespace doppel {

int fuse(Graph& g) {
  std::vector<int> readers(g.values.size(), 0), producer(g.values.size(), -1);
  for (const Node& node : g.nodes)
    for (ValueId v : node.in) ++readers[size_t(v)];
  // A view that is read counts as a reader of its base.
  for (const Value& value : g.values)
    if (value.base != kNoValue) ++readers[size_t(value.base)];

  std::vector<Node> kept;
  int absorbed = 0;
  for (Node& node : g.nodes) {
    if (node.in.size() == 1 && producer[size_t(node.in[0])] >= 0 && readers[size_t(node.in[0])] == 1 &&
        g[node.in[0]].role == Role::activation) {
      Node& before = kept[size_t(producer[size_t(node.in[0])])];
      if (const auto* conv = dynamic_cast<const ConvOp*>(before.op.get())) {
        Epilogue epilogue = conv->epilogue();
        const auto* activation = dynamic_cast<const ActivationOp*>(node.op.get());
        const bool takes_activation = activation && epilogue.activation == Activation::none && !epilogue.shuffle;
        const bool takes_shuffle = !epilogue.shuffle && node.op->name() == "pixel_shuffle";
        if (takes_activation) {
          epilogue.activation = activation->activation();
          epilogue.slope = activation->slope();
        }
        if (takes_shuffle) epilogue.shuffle = true;
        if (takes_activation || takes_shuffle) {
          before.op = std::make_shared<ConvOp>(conv->conv(), epilogue);
          // z stays where the gradient wants it, and lies as y does.
          if (takes_activation && saves_input(epilogue.activation)) before.out.push_back(node.in[0]);
          before.out[0] = node.out[0];
          if (before.out.size() > 1) g[before.out[1]].shape = g[before.out[0]].shape;
          producer[size_t(node.out[0])] = producer[size_t(node.in[0])];
          ++absorbed;
          continue;
        }
      }
    }
    kept.push_back(node);
    for (ValueId v : node.out) producer[size_t(v)] = int(kept.size()) - 1;
  }
  g.nodes = std::move(kept);
  return absorbed;
}

}  // namespace doppel
