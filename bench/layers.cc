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
      const std::string layer = layer_name(g, node), own = "decoder.a.";
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

double pass_bytes(const Conv2d& c, Pass pass) {
  const double element = double(size_of(c.type)), groups = c.groups;
  const double in = groups * double(c.in_elements()), out = groups * double(c.out_elements());
  const double weights = groups * double(c.weights());
  if (pass == Pass::fprop) return element * (in + weights) + double(size_of(c.out_type)) * out;
  if (pass == Pass::dgrad) return element * (in + weights + out);
  return element * (in + out) + 4 * weights;
}

Conv2d conv_of(const Dense& d) {
  return {d.n, 1, 1, d.c, d.k, 1, 1, 1, 0, 0, 0, 0, d.type, d.type, d.kernels};
}

std::string layer_name(const Graph& g, const Node& node) {
  const std::string weight = g[node.in[1]].name;
  return weight.substr(0, weight.rfind('.'));
}

double forward_flops(const Layers& layers, int batch) {
  double sum = 0;
  for (const ConvLayer& layer : layers.convs) sum += layer.conv.flops();
  for (const DenseLayer& layer : layers.denses) sum += layer.dense.flops();
  return sum / (kPeople * batch);
}

}  // namespace doppel::bench
