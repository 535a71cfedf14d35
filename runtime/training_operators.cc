// The nodes at both ends of a training step: the pictures that it draws, their losses, the optimiser.
#include <algorithm>
#include <stdexcept>

#include "runtime/gradient.h"
#include "runtime/operators.h"

namespace doppel {
namespace {

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

}  // namespace

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

}  // namespace doppel
