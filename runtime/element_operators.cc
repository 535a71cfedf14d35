// The nodes that work element by element: activations, sums, copies, casts, and the pixel shuffle, which moves
// elements.
#include <stdexcept>

#include "kernels/activation.h"
#include "kernels/pixel_shuffle.h"
#include "runtime/activation_operator.h"
#include "runtime/gradient.h"
#include "runtime/operators.h"

namespace doppel {
namespace {

class ActivationBackwardOp : public Operator {
 public:
  ActivationBackwardOp(int64_t count, DType type, Activation f, float slope)
      : count_(count), type_(type), f_(f), slope_(slope) {}
  std::string name() const override { return "activation_backward"; }
  void run(const Arguments& a) const override {
    activation_backward(a.out[0], a.in[0], a.in[1], count_, type_, f_, slope_, a.stream);
  }

 private:
  int64_t count_;
  DType type_;
  Activation f_;
  float slope_;
};

// y = f(a + b). Both inputs get the same gradient: the second is a copy by accumulation rules only where a has others.
class AddActivationOp : public Operator {
 public:
  AddActivationOp(int64_t count, DType type, float slope) : count_(count), type_(type), slope_(slope) {}
  std::string name() const override { return "add_leaky_relu"; }
  void run(const Arguments& a) const override {
    add_activation_forward(a.out[0], a.in[0], a.in[1], count_, type_, Activation::leaky_relu, slope_, a.stream);
  }
  void backward(Backward& b, const Node& node) const override {
    for (ValueId in : {node.in[0], node.in[1]})
      b.contribute(in, [&](ValueId target) {
        b.graph().append(std::make_shared<ActivationBackwardOp>(count_, type_, Activation::leaky_relu, slope_),
                         {b.of(node.out[0]), node.out[0]}, {target});
      });
  }

 private:
  int64_t count_;
  DType type_;
  float slope_;
};

class PixelShuffleOp : public Operator {
 public:
  explicit PixelShuffleOp(const PixelShuffle& p, bool forward) : p_(p), forward_(forward) {}
  std::string name() const override { return forward_ ? "pixel_shuffle" : "pixel_unshuffle"; }
  void run(const Arguments& a) const override {
    (forward_ ? pixel_shuffle_forward : pixel_shuffle_backward)(a.out[0], a.in[0], p_, a.stream);
  }
  void backward(Backward& b, const Node& node) const override {
    b.contribute(node.in[0], [&](ValueId target) {
      b.graph().append(std::make_shared<PixelShuffleOp>(p_, !forward_), {b.of(node.out[0])}, {target});
    });
  }

 private:
  PixelShuffle p_;
  bool forward_;
};

class AccumulateOp : public Operator {
 public:
  AccumulateOp(int64_t count, DType type) : count_(count), type_(type) {}
  std::string name() const override { return "accumulate"; }
  void run(const Arguments& a) const override { accumulate(a.out[0], a.in[0], count_, type_, a.stream); }

 private:
  int64_t count_;
  DType type_;
};

class CopyOp : public Operator {
 public:
  CopyOp(int64_t count, DType type) : count_(count), type_(type) {}
  std::string name() const override { return "copy"; }
  // A leaky ReLU of slope 1.
  void run(const Arguments& a) const override {
    activation_forward(a.out[0], a.in[0], count_, type_, Activation::leaky_relu, 1, a.stream);
  }

 private:
  int64_t count_;
  DType type_;
};

class CastOp : public Operator {
 public:
  explicit CastOp(int64_t count) : count_(count) {}
  std::string name() const override { return "cast"; }
  void run(const Arguments& a) const override {
    cast_to_bf16(static_cast<Bf16*>(a.out[0]), static_cast<const float*>(a.in[0]), count_, a.stream);
  }

 private:
  int64_t count_;
};

ValueId append_activation(Graph& g, ValueId x, Activation f, float slope) {
  const Value in = g[x];
  const ValueId y = g.value(std::string(name_of(f)) + " " + in.name, in.shape, in.type);
  g.append(std::make_shared<ActivationOp>(in.shape.elements(), in.type, f, slope), {x}, {y});
  return y;
}

}  // namespace

void ActivationOp::backward(Backward& b, const Node& node) const {
  b.contribute(node.in[0], [&](ValueId target) {
    b.graph().append(std::make_shared<ActivationBackwardOp>(count_, type_, f_, slope_),
                     {b.of(node.out[0]), saves_input(f_) ? node.in[0] : node.out[0]}, {target});
  });
}

ValueId leaky_relu(Graph& g, ValueId x, float slope) {
  return append_activation(g, x, Activation::leaky_relu, slope);
}

ValueId x_cos_x(Graph& g, ValueId x) {
  return append_activation(g, x, Activation::x_cos_x, 0);
}

ValueId sigmoid(Graph& g, ValueId x) {
  return append_activation(g, x, Activation::sigmoid, 0);
}

ValueId pixel_shuffle(Graph& g, ValueId x) {
  const Value in = g[x];
  if (in.shape.c % 4 != 0) throw std::logic_error("pixel_shuffle of " + in.name + ": channels must divide by 4");
  const ValueId y =
      g.value("shuffled " + in.name, {in.shape.n, 2 * in.shape.h, 2 * in.shape.w, in.shape.c / 4}, in.type);
  g.append(
      std::make_shared<PixelShuffleOp>(PixelShuffle{in.shape.n, in.shape.h, in.shape.w, in.shape.c / 4, in.type}, true),
      {x}, {y});
  return y;
}

ValueId add_leaky_relu(Graph& g, ValueId a, ValueId b, float slope) {
  const Value in = g[a];
  if (in.shape != g[b].shape || in.type != g[b].type) throw std::logic_error("add of unlike " + in.name);
  const ValueId y = g.value("sum " + in.name, in.shape, in.type);
  g.append(std::make_shared<AddActivationOp>(in.shape.elements(), in.type, slope), {a, b}, {y});
  return y;
}

ValueId cast(Graph& g, ValueId x) {
  if (g.compute() == DType::f32) return x;
  const Value in = g[x];
  const ValueId y = g.value("cast " + in.name, in.shape, g.compute());
  g.append(std::make_shared<CastOp>(in.shape.elements()), {x}, {y});
  return y;
}

void append_accumulate(Graph& g, ValueId y, ValueId x) {
  const Value in = g[x];
  g.append(std::make_shared<AccumulateOp>(in.shape.elements(), in.type), {x, y}, {y});
}

void append_copy(Graph& g, ValueId y, ValueId x) {
  const Value in = g[x];
  g.append(std::make_shared<CopyOp>(in.shape.elements(), in.type), {x}, {y});
}

}  // namespace doppel
