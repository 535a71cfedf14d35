#include "runtime/graph.h"

#include <stdexcept>

namespace doppel {

void Operator::backward(Backward&, const Node&) const {
  throw std::logic_error(name() + " has no gradient");
}

std::shared_ptr<const Operator> Operator::with(const KernelChoice&) const {
  throw std::logic_error(name() + " has no kernels to choose from");
}

const Parameter& ParameterLayout::declare(const std::string& name, const Shape& shape, float init_limit) {
  for (const Parameter& p : parameters)
    if (p.name == name) {
      if (p.shape != shape) throw std::logic_error("parameter " + name + " declared twice with different shapes");
      return p;
    }
  parameters.push_back({name, shape, elements, init_limit});
  // 64 elements: every tensor starts on a cache line in each arena, also in bf16.
  elements += size_t(shape.elements() + 63) / 64 * 64;
  return parameters.back();
}

Graph::Graph(std::shared_ptr<ParameterLayout> layout, DType compute) : layout_(std::move(layout)), compute_(compute) {
  weights = value("weights", {}, DType::f32, Role::external);
  gradients = value("gradients", {}, DType::f32, Role::external);
  if (compute != DType::f32) copies = value("copies", {}, compute, Role::external);
}

ValueId Graph::value(std::string name, Shape shape, DType type, Role role) {
  values.push_back({std::move(name), shape, type, role, kNoValue, 0, false});
  return ValueId(values.size()) - 1;
}

ValueId Graph::reshape(ValueId v, Shape shape) {
  Value view = (*this)[v];
  if (view.shape.elements() != shape.elements())
    throw std::logic_error("reshape of " + view.name + " from " + to_string(view.shape) + " to " + to_string(shape));
  view.shape = shape;
  view.base = v;
  view.offset = 0;
  values.push_back(view);
  return ValueId(values.size()) - 1;
}

ValueId Graph::slice(ValueId v, int begin, int count) {
  Value view = (*this)[v];
  if (begin < 0 || count <= 0 || begin + count > view.shape.n)
    throw std::logic_error("slice of " + view.name + " beyond its rows");
  const size_t row = view.bytes() / size_t(view.shape.n);
  view.shape.n = count;
  view.base = v;
  view.offset = row * size_t(begin);
  values.push_back(view);
  return ValueId(values.size()) - 1;
}

ValueId Graph::parameter_view(ValueId arena, const Parameter& p) {
  Value view = (*this)[arena];
  view.name = p.name;
  view.shape = p.shape;
  view.base = arena;
  view.offset = p.offset * size_of(view.type);
  view.needs_gradient = arena != gradients;
  values.push_back(view);
  return ValueId(values.size()) - 1;
}

ValueId Graph::weight(const std::string& name, const Shape& shape, float init_limit) {
  return parameter_view(weights, layout_->declare(name, shape, init_limit));
}

ValueId Graph::operand(const std::string& name, const Shape& shape, float init_limit) {
  return parameter_view(copies == kNoValue ? weights : copies, layout_->declare(name, shape, init_limit));
}

ValueId Graph::weight_gradient(ValueId v) {
  for (const Parameter& p : layout_->parameters)
    if (p.name == (*this)[v].name) return parameter_view(gradients, p);
  throw std::logic_error((*this)[v].name + " is not a parameter");
}

void Graph::append(std::shared_ptr<const Operator> op, std::vector<ValueId> in, std::vector<ValueId> out) {
  bool needs = false;
  for (ValueId v : in) needs = needs || (*this)[v].needs_gradient;
  for (ValueId v : out) (*this)[v].needs_gradient = needs;
  nodes.push_back({std::move(op), std::move(in), std::move(out)});
}

ValueId Graph::owner(ValueId v) const {
  while ((*this)[v].base != kNoValue) v = (*this)[v].base;
  return v;
}

}  // namespace doppel
