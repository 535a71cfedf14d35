#include "runtime/operators.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "kernels/pixel_shuffle.h"
#include "runtime/gradient.h"
#include "runtime/matrix_operators.h"

namespace doppel {
namespace {

class ActivationOp : public Operator {
 public:
  ActivationOp(int64_t count, DType type, Activation f, float slope)
      : count_(count), type_(type), f_(f), slope_(slope) {}
  std::string name() const override { return name_of(f_); }
  void run(const Arguments& a) const override {
    activation_forward(a.out[0], a.in[0], count_, type_, f_, slope_, a.stream);
  }
  void backward(Backward& b, const Node& node) const override;
  Activation activation() const { return f_; }
  float slope() const { return slope_; }

 private:
  int64_t count_;
  DType type_;
  Activation f_;
  float slope_;
};

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

void ActivationOp::backward(Backward& b, const Node& node) const {
  b.contribute(node.in[0], [&](ValueId target) {
    b.graph().append(std::make_shared<ActivationBackwardOp>(count_, type_, f_, slope_),
                     {b.of(node.out[0]), saves_input(f_) ? node.in[0] : node.out[0]}, {target});
  });
}

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

// Writes the losses of each part and, in the same sweep, the gradient of their totals.
class ImageLossOp : public Operator {
 public:
  ImageLossOp(const LossShape& shape, int parts, const ImageLoss& loss) : shape_(shape), parts_(parts), loss_(loss) {}
  std::string name() const override { return "image_loss"; }
  size_t workspace(Stream stream) const override {
    // The losses run one after the other.
    return std::max(pointwise_loss_workspace(shape_, stream),
                    loss_.dssim > 0 ? dssim_workspace(shape_, loss_.scales, stream) : 0);
  }
  void run(const Arguments& a) const override {
    const int64_t elements = int64_t(shape_.n) * shape_.h * shape_.w * shape_.c;
    for (int64_t part = 0; part < parts_; ++part)
      run_part(static_cast<float*>(a.out[0]) + part * 4, static_cast<float*>(a.out[1]) + part * elements,
               static_cast<const float*>(a.in[0]) + part * elements,
               static_cast<const float*>(a.in[1]) + part * elements, a);
  }
  void backward(Backward& b, const Node& node) const override { b.set(node.in[0], node.out[1]); }

 private:
  void run_part(float* losses, float* dy, const float* y, const float* t, const Arguments& a) const {
    l1_loss(&losses[1], dy, y, t, nullptr, shape_, loss_.l1, false, a.workspace, a.stream);
    if (loss_.mse > 0) mse_loss(&losses[2], dy, y, t, nullptr, shape_, loss_.mse, true, a.workspace, a.stream);
    if (loss_.dssim > 0)
      dssim_loss(&losses[3], dy, y, t, nullptr, shape_, loss_.scales, loss_.dssim, true, a.workspace, a.stream);
    total_loss(losses, loss_.l1, loss_.mse, loss_.dssim, a.stream);
  }

  LossShape shape_;  // of a part
  int parts_;
  ImageLoss loss_;
};

class WarpOp : public Operator {
 public:
  WarpOp(const Warp& w, const WarpFaces* faces) : warp_(w), faces_(faces) {}
  std::string name() const override { return "warp"; }
  std::string fused() const override { return "draw, similarity, grid warp, crop"; }
  // Faces that stream may have gone by then.
  bool repeatable() const override { return false; }
  void run(const Arguments& a) const override {
    warp_batch(a.out[0], static_cast<float*>(a.out[1]), *faces_, static_cast<const StepState*>(a.in[0]), warp_,
               a.stream);
  }

 private:
  Warp warp_;
  const WarpFaces* faces_;
};

class AdamOp : public Operator {
 public:
  AdamOp(int64_t count, const AdamOptions& options, bool copies) : count_(count), options_(options), copies_(copies) {}
  std::string name() const override { return "adam"; }
  std::string fused() const override {
    std::string what = "all parameters";
    if (options_.belief) what += ", AdaBelief";
    if (options_.moved < 1) what += ", learning-rate dropout";
    if (options_.ema_decay > 0) what += ", average";
    if (copies_) what += ", bf16 copy";
    return what;
  }
  // in: state, gradients, norm; out: weights, m, v, average or weights, copies or weights
  void run(const Arguments& a) const override {
    const AdamRange range{static_cast<float*>(a.out[0]),
                          static_cast<float*>(a.out[1]),
                          static_cast<float*>(a.out[2]),
                          static_cast<const float*>(a.in[1]),
                          options_.ema_decay > 0 ? static_cast<float*>(a.out[3]) : nullptr,
                          copies_ ? static_cast<Bf16*>(a.out[4]) : nullptr,
                          count_};
    const auto* state = static_cast<const StepState*>(a.in[0]);
    adam(range, static_cast<const float*>(a.in[2]), state, options_, a.stream);
  }

 private:
  int64_t count_;
  AdamOptions options_;
  bool copies_;
};

class NormOp : public Operator {
 public:
  explicit NormOp(int64_t count) : count_(count) {}
  std::string name() const override { return "global_norm"; }
  size_t workspace(Stream stream) const override { return global_norm_workspace(count_, stream); }
  void run(const Arguments& a) const override {
    global_norm(static_cast<float*>(a.out[0]), static_cast<const float*>(a.in[0]), count_, a.workspace, a.stream);
  }

 private:
  int64_t count_;
};

class AdvanceOp : public Operator {
 public:
  std::string name() const override { return "advance"; }
  void run(const Arguments& a) const override { advance(static_cast<StepState*>(a.out[0]), a.stream); }
};

ValueId append_activation(Graph& g, ValueId x, Activation f, float slope) {
  const Value in = g[x];
  const ValueId y = g.value(std::string(name_of(f)) + " " + in.name, in.shape, in.type);
  g.append(std::make_shared<ActivationOp>(in.shape.elements(), in.type, f, slope), {x}, {y});
  return y;
}

}  // namespace

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

void image_loss(Graph& g, ValueId y, ValueId target, const ImageLoss& loss, ValueId losses) {
  const Value in = g[y];
  if (in.type != DType::f32 || g[target].type != DType::f32 || in.shape != g[target].shape)
    throw std::logic_error("image_loss of " + in.name + ": wants two fp32 pictures of one shape");
  const int parts = g[losses].shape.n;
  if (in.shape.n % parts != 0) throw std::logic_error("image_loss of " + in.name + ": the parts are not equal");
  const ValueId dy = g.value("d " + in.name, in.shape, DType::f32);
  const LossShape shape{in.shape.n / parts, in.shape.h, in.shape.w, in.shape.c, loss.focus};
  g.append(std::make_shared<ImageLossOp>(shape, parts, loss), {y, target}, {losses, dy});
}

ValueId image_loss(Graph& g, ValueId y, ValueId target, const ImageLoss& loss, const std::string& name) {
  const ValueId losses = g.value(name, {1, 1, 1, 4}, DType::f32, Role::kept);
  image_loss(g, y, target, loss, losses);
  return losses;
}

WarpOutputs warp(Graph& g, ValueId state, const Warp& options, const WarpFaces* faces) {
  const Shape shape{options.people * options.batch, options.out_size, options.out_size, 3};
  const WarpOutputs out{g.value("input", shape, options.input_type), g.value("target", shape, DType::f32)};
  g.append(std::make_shared<WarpOp>(options, faces), {state}, {out.input, out.target});
  return out;
}

ValueId cast(Graph& g, ValueId x) {
  if (g.compute() == DType::f32) return x;
  const Value in = g[x];
  const ValueId y = g.value("cast " + in.name, in.shape, g.compute());
  g.append(std::make_shared<CastOp>(in.shape.elements()), {x}, {y});
  return y;
}

OptimizerArenas append_adam(Graph& g, ValueId state, const AdamOptions& options) {
  const int64_t count = int64_t(g.layout().elements);
  // The arenas' sizes are known only now that every parameter has been declared.
  const auto arena = [&](const char* name) { return g.value(name, {1, 1, 1, 1}, DType::f32, Role::external); };
  OptimizerArenas arenas{arena("m"), arena("v"), options.ema_decay > 0 ? arena("average") : kNoValue,
                         g.value("gradient norm", {}, DType::f32, Role::kept)};
  g.append(std::make_shared<NormOp>(count), {g.gradients}, {arenas.norm});
  const ValueId average = arenas.average == kNoValue ? g.weights : arenas.average;
  const ValueId copies = g.copies == kNoValue ? g.weights : g.copies;
  g.append(std::make_shared<AdamOp>(count, options, g.copies != kNoValue), {state, g.gradients, arenas.norm},
           {g.weights, arenas.m, arenas.v, average, copies});
  g.append(std::make_shared<AdvanceOp>(), {}, {state});
  return arenas;
}

void append_accumulate(Graph& g, ValueId y, ValueId x) {
  const Value in = g[x];
  g.append(std::make_shared<AccumulateOp>(in.shape.elements(), in.type), {x, y}, {y});
}

void append_copy(Graph& g, ValueId y, ValueId x) {
  const Value in = g[x];
  g.append(std::make_shared<CopyOp>(in.shape.elements(), in.type), {x}, {y});
}

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
