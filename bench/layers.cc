#include "bench/layers.h"

#include "nn/training_step.h"
#include "runtime/matrix_operators.h"

namespace doppel::bench {

Layers layers_of(const Architecture& a, int batch, DType type) {
  std::vector<std::string> people;
  for (int i = 0; i < kPeople; ++i) people.push_back(std::string(1, char('a' + i)));
  Graph g(declare_parameters(a, people), type);
  const ValueId x = g.value("x", {kPeople * batch, a.size, a.size, 3}, type, Role::external);
  decode_all(g, encode(g, x, a), a, people);
  fuse(g);
  Layers layers;
  for (const Node& node : g.nodes) {
    const auto name = [&] {
      const std::string weight = g[node.in[1]].name, own = "decoder.a.";
      const std::string layer = weight.substr(0, weight.rfind('.'));
      return layer.starts_with(own) ? std::to_string(kPeople) + " x decoder." + layer.substr(own.size()) : layer;
    };
    if (const auto* conv = dynamic_cast<const ConvOp*>(node.op.get())) {
      layers.convs.push_back({name(), conv->conv(), conv->epilogue(), node.in[0] != x});
      Conv2d& c = layers.convs.back().conv;
      if (c.groups > 1) c.weight_stride = c.weights(), c.bias_stride = c.k;
    }
    if (const auto* dense = dynamic_cast<const DenseOp*>(node.op.get()))
      layers.denses.push_back({name(), dense->dense()});
  }
  return layers;
}

double forward_flops(const Layers& layers, int batch) {
  double sum = 0;
  for (const ConvLayer& layer : layers.convs) sum += layer.conv.flops();
  for (const DenseLayer& layer : layers.denses) sum += layer.dense.flops();
  return sum / (kPeople * batch);
}

}  // namespace doppel::bench
