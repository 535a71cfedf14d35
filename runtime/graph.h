// A traced program: a flat list of nodes over values. A model runs once on symbolic values and leaves its nodes here;
// differentiation (runtime/gradient.h) and the optimiser append theirs; a plan (runtime/plan.h) gives every value an
// address, and a program (runtime/program.h) replays the list.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/kernel_choice.h"
#include "kernels/stream.h"
#include "runtime/tensor.h"

namespace doppel {

using ValueId = int;
constexpr ValueId kNoValue = -1;

enum class Role {
  activation,  // lives in the arena, from its writer to its last reader
  kept,        // lives in the arena for the whole program: the host writes or reads it between replays
  external,    // bound to memory that somebody else owns
};

struct Value {
  std::string name;
  Shape shape;
  DType type = DType::f32;
  Role role = Role::activation;
  // A view is the same bytes as `base` from `offset` on, and has no memory of its own.
  ValueId base = kNoValue;
  size_t offset = 0;
  bool needs_gradient = false;

  size_t bytes() const { return size_t(shape.elements()) * size_of(type); }
};

struct Arguments {
  std::vector<void*> in, out;
  void* workspace = nullptr;
  Stream stream;
};

class Backward;
struct Node;

// One kind of node with its parameters. Holds no memory and no state.
class Operator {
 public:
  virtual ~Operator() = default;
  virtual std::string name() const = 0;
  virtual void run(const Arguments& arguments) const = 0;
  virtual size_t workspace(Stream) const { return 0; }
  // "", or why no kernel takes shapes as large; workspace() then throws std::invalid_argument. Asks no kernel.
  virtual std::string size_problem() const { return {}; }
  // Multiplications and additions of convolutions and matrix products; everything else counts as 0.
  virtual double flops() const { return 0; }
  // What was fused into this node, for people: "bias, leaky ReLU". Empty when nothing was.
  virtual std::string fused() const { return {}; }
  // Of nodes whose kernel can be chosen (runtime/tuner.h): the product that they make, by pass, shapes and types. Nodes
  // of equal products have equal choices. Empty: there is nothing to choose.
  virtual std::string product() const { return {}; }
  // Our own kernels for it, the first of which is taken by itself.
  virtual std::vector<KernelChoice> choices(Stream) const { return {}; }
  virtual KernelChoice choice() const { return {}; }
  // The same operator by that kernel.
  virtual std::shared_ptr<const Operator> with(const KernelChoice&) const;
  // Appends the nodes that carry the gradients of node.out to node.in.
  virtual void backward(Backward& b, const Node& node) const;
  // Whether the node may be run a second time within a replay (runtime/recompute.h), which gives the same bits.
  virtual bool repeatable() const { return true; }
};

struct Node {
  std::shared_ptr<const Operator> op;
  std::vector<ValueId> in, out;
};

// A trained tensor: a piece of the arenas named in ParameterLayout.
struct Parameter {
  std::string name;
  Shape shape;
  size_t offset = 0;     // first element in each arena
  float init_limit = 0;  // drawn from U(-limit, limit); 0: starts as zeros
};

// The parameters of a model with their places. All parameter arenas (weights, gradients, moments, average, bf16 copy)
// are laid out alike, so that one optimiser node sweeps them all. Graphs over the same model share one layout.
struct ParameterLayout {
  std::vector<Parameter> parameters;
  size_t elements = 0;  // including padding between tensors

  // The parameter of that name; appended when it is new. Throws std::logic_error when its shape differs.
  const Parameter& declare(const std::string& name, const Shape& shape, float init_limit);
};

class Graph {
 public:
  // `compute` is the type of operands: f32 or bf16.
  Graph(std::shared_ptr<ParameterLayout> layout, DType compute);

  ValueId value(std::string name, Shape shape, DType type, Role role = Role::activation);
  // The same bytes under another shape.
  ValueId reshape(ValueId v, Shape shape);
  // Rows [begin, begin + count) of the first axis.
  ValueId slice(ValueId v, int begin, int count);

  // Views into the parameter arenas.
  ValueId weight(const std::string& name, const Shape& shape, float init_limit);   // f32 master
  ValueId operand(const std::string& name, const Shape& shape, float init_limit);  // of type compute()
  ValueId weight_gradient(ValueId weight_or_operand);

  void append(std::shared_ptr<const Operator> op, std::vector<ValueId> in, std::vector<ValueId> out);

  const Value& operator[](ValueId v) const { return values[size_t(v)]; }
  Value& operator[](ValueId v) { return values[size_t(v)]; }
  // Follows views to the value that owns the memory.
  ValueId owner(ValueId v) const;
  bool is_parameter(ValueId v) const { return owner(v) == weights || owner(v) == copies; }
  DType compute() const { return compute_; }
  const ParameterLayout& layout() const { return *layout_; }

  std::vector<Value> values;
  std::vector<Node> nodes;
  size_t forward = 0;  // the first nodes are the forward pass; 0 before differentiate()
  // External values over the whole parameter arenas. `copies` is kNoValue when computing in f32.
  ValueId weights = kNoValue, gradients = kNoValue, copies = kNoValue;

 private:
  ValueId parameter_view(ValueId arena, const Parameter& p);

  std::shared_ptr<ParameterLayout> layout_;
  DType compute_;
};

}  // namespace doppel
