#include "runtime/matrix_operators.h"

#include <cmath>
#include <stdexcept>

#include "runtime/gradient.h"
#include "runtime/operators.h"

namespace doppel {
namespace {

// The nodes of a convolution name the parameters and gradients of each group, one after the other; the launchers find
// them from the first one's place and the strides in Conv2d.

// in: dy, saved; out: dz, the db
class ConvEpilogueBackwardOp : public Operator {
 public:
  ConvEpilogueBackwardOp(const Conv2d& conv, const Epilogue& epilogue) : conv_(conv), epilogue_(epilogue) {}
  std::string name() const override { return "conv2d_backward_epilogue"; }
  std::string fused() const override {
    std::string what = "bias gradient";
    if (epilogue_.activation != Activation::none) what += ", activation";
    if (epilogue_.shuffle) what += ", un-shuffle";
    return what;
  }
  size_t workspace(Stream s) const override { return conv2d_workspace(conv_, epilogue_, s).backward_epilogue; }
  void run(const Arguments& a) const override {
    conv2d_backward_epilogue(a.out[0], static_cast<float*>(a.out[1]), a.in[0], a.in[1], conv_, epilogue_, a.workspace,
                             a.stream);
  }

 private:
  Conv2d conv_;
  Epilogue epilogue_;
};

// in: dz, the w; out: dx
class ConvDgradOp : public ConvProduct<ConvDgradOp, Pass::dgrad> {
 public:
  using ConvProduct::ConvProduct;
  std::string name() const override { return "conv2d_dgrad"; }
  size_t workspace(Stream s) const override { return conv2d_workspace(conv_, epilogue_, s).dgrad; }
  void run(const Arguments& a) const override {
    conv2d_dgrad(a.out[0], a.in[0], a.in[1], conv_, a.workspace, a.stream);
  }
};

// in: x, dz; out: the dw
class ConvWgradOp : public ConvProduct<ConvWgradOp, Pass::wgrad> {
 public:
  using ConvProduct::ConvProduct;
  std::string name() const override { return "conv2d_wgrad"; }
  size_t workspace(Stream s) const override { return conv2d_workspace(conv_, epilogue_, s).wgrad; }
  void run(const Arguments& a) const override {
    conv2d_wgrad(static_cast<float*>(a.out[0]), a.in[0], a.in[1], conv_, a.workspace, a.stream);
  }
};

class DenseDgradOp : public DenseProduct<DenseDgradOp, Pass::dgrad> {
 public:
  using DenseProduct::DenseProduct;
  std::string name() const override { return "dense_dgrad"; }
  size_t workspace(Stream s) const override { return dense_workspace(dense_, s).dgrad; }
  void run(const Arguments& a) const override {
    dense_dgrad(a.out[0], a.in[0], a.in[1], dense_, a.workspace, a.stream);
  }
};

class DenseWgradOp : public DenseProduct<DenseWgradOp, Pass::wgrad> {
 public:
  using DenseProduct::DenseProduct;
  std::string name() const override { return "dense_wgrad"; }
  std::string fused() const override { return "bias gradient"; }
  size_t workspace(Stream s) const override { return dense_workspace(dense_, s).wgrad; }
  void run(const Arguments& a) const override {
    dense_wgrad(static_cast<float*>(a.out[0]), static_cast<float*>(a.out[1]), a.in[0], a.in[1], dense_, a.workspace,
                a.stream);
  }
};

// A uniform distribution's variance is limit^2 / 3.
float limit_of(const Init& init, double fan_in, double fan_out) {
  if (init.kind == Init::he) return float(std::sqrt(6 / ((1 + double(init.slope) * init.slope) * fan_in)));
  return float(std::sqrt(6 / (fan_in + fan_out)));
}

std::string to_text(std::initializer_list<int> numbers, const char* between) {
  std::string text;
  for (const int number : numbers) text += (text.empty() ? "" : between) + std::to_string(number);
  return text;
}

// Elements from each of the views to the next one.
int64_t stride_of(const Graph& g, const std::vector<ValueId>& views) {
  if (views.size() < 2) return 0;
  const Value &first = g[views[0]], &second = g[views[1]];
  const int64_t step = int64_t(second.offset) - int64_t(first.offset);
  for (size_t i = 0; i < views.size(); ++i) {
    const Value& view = g[views[i]];
    if (view.base == kNoValue || view.base != first.base || step <= 0 ||
        int64_t(view.offset) != int64_t(first.offset) + int64_t(i) * step)
      throw std::logic_error("the groups " + first.name + " to " + g[views.back()].name +
                             " do not lie at equal distances");
  }
  return step / int64_t(size_of(first.type));
}

std::vector<ValueId> joined(std::vector<ValueId> ids, const std::vector<ValueId>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
  return ids;
}

}  // namespace

// All fields by name, so that one that is added must be thought of here.
std::string describe(const Conv2d& conv, const Epilogue& epilogue, Pass pass) {
  const auto& [n, h, w, c, k, r, s, stride, top, left, bottom, right, type, out_type, kernels, groups, weight_stride,
               bias_stride] = conv;
  std::string text = std::string(name_of(pass)) + " conv2d [" + to_text({n, h, w, c}, ",") + "] to " +
                     std::to_string(k) + ", " + to_text({r, s}, "x") + " / " + std::to_string(stride) + ", pad " +
                     to_text({top, left, bottom, right}, " ") + ", " + doppel::name_of(type);
  if (groups > 1) text += ", " + std::to_string(groups) + " groups";
  if (pass != Pass::fprop) return text;  // the gradients end with no epilogue
  const auto& [activation, slope, shuffle] = epilogue;
  text += std::string(" to ") + doppel::name_of(out_type);
  if (activation != Activation::none) text += std::string(", ") + doppel::name_of(activation);
  return text + (shuffle ? ", shuffled" : "");
}

std::string describe(const Dense& dense, Pass pass) {
  const auto& [n, c, k, type, kernels] = dense;
  return std::string(name_of(pass)) + " dense [" + to_text({n, c}, ",") + "] to " + std::to_string(k) + ", " +
         doppel::name_of(type);
}

void DenseOp::run(const Arguments& a) const {
  dense_fprop(a.out[0], a.in[0], a.in[1], static_cast<const float*>(a.in[2]), dense_, a.workspace, a.stream);
}

void DenseOp::backward(Backward& b, const Node& node) const {
  const ValueId x = node.in[0], w = node.in[1], dy = b.of(node.out[0]);
  if (dy == kNoValue) return;
  b.contribute(w, [&](ValueId dw) {
    b.contribute(node.in[2], [&](ValueId db) {
      b.graph().append(std::make_shared<DenseWgradOp>(dense_), {x, dy}, {dw, db});
    });
  });
  b.contribute(x, [&](ValueId dx) { b.graph().append(std::make_shared<DenseDgradOp>(dense_), {dy, w}, {dx}); });
}

std::string ConvOp::name() const {
  return "conv2d " + std::to_string(conv_.r) + "x" + std::to_string(conv_.s) + (conv_.stride == 2 ? " stride 2" : "") +
         (conv_.groups > 1 ? ", " + std::to_string(conv_.groups) + " groups" : "");
}

std::string ConvOp::fused() const {
  std::string what = "bias";
  if (epilogue_.activation == Activation::leaky_relu) what += ", leaky ReLU";
  if (epilogue_.activation == Activation::sigmoid) what += ", sigmoid";
  if (epilogue_.activation == Activation::x_cos_x) what += ", x cos x";
  if (epilogue_.shuffle) what += ", pixel shuffle";
  return what;
}

void ConvOp::run(const Arguments& a) const {
  const auto* b = static_cast<const float*>(a.in[size_t(1 + conv_.groups)]);
  conv2d_fprop(a.out[0], a.in[0], a.in[1], b, conv_, epilogue_, a.workspace, a.stream,
               a.out.size() > 1 ? a.out[1] : nullptr);
}

void ConvOp::backward(Backward& b, const Node& node) const {
  Graph& g = b.graph();
  const ValueId x = node.in[0], saved = node.out.back(), dy = b.of(node.out[0]);
  if (dy == kNoValue) return;
  const auto weights = node.in.begin() + 1, biases = weights + conv_.groups;
  const std::vector<ValueId> w(weights, biases), bias(biases, node.in.end());
  const ValueId dz =
      g.value("dz " + g[w[0]].name, {conv_.groups * conv_.n, conv_.out_h(), conv_.out_w(), conv_.k}, conv_.type);
  b.contribute_all(bias, [&](const std::vector<ValueId>& db) {
    g.append(std::make_shared<ConvEpilogueBackwardOp>(conv_, epilogue_), {dy, saved}, joined({dz}, db));
  });
  b.contribute_all(w, [&](const std::vector<ValueId>& dw) {
    g.append(std::make_shared<ConvWgradOp>(conv_, epilogue_), {x, dz}, dw);
  });
  b.contribute(x,
               [&](ValueId dx) { g.append(std::make_shared<ConvDgradOp>(conv_, epilogue_), joined({dz}, w), {dx}); });
}

ValueId conv2d(Graph& g, ValueId x, const std::string& name, const ConvOptions& o) {
  return grouped_conv2d(g, x, std::vector<std::string>{name}, o);
}

ValueId grouped_conv2d(Graph& g, ValueId x, const std::vector<std::string>& names, const ConvOptions& o) {
  const Value in = g[x];
  const int groups = int(names.size());
  if (groups == 0 || in.shape.n % groups != 0)
    throw std::logic_error("convolution of " + in.name + ": the groups are not equal");
  Conv2d conv{in.shape.n / groups,
              in.shape.h,
              in.shape.w,
              in.shape.c,
              o.filters,
              o.kernel,
              o.kernel,
              o.stride,
              0,
              0,
              0,
              0,
              in.type,
              o.fp32_output ? DType::f32 : in.type};
  o.padding == Padding::same ? pad_same(conv) : pad_symmetric(conv);
  const double taps = double(o.kernel) * o.kernel;
  std::vector<ValueId> w, b;
  for (const std::string& name : names) {
    const float limit = limit_of(o.init, taps * conv.c, taps * conv.k);
    w.push_back(g.operand(name + ".w", {o.filters, o.kernel, o.kernel, conv.c}, limit));
    b.push_back(g.weight(name + ".b", {1, 1, 1, o.filters}, 0));
  }
  conv.groups = groups;
  conv.weight_stride = stride_of(g, w);
  conv.bias_stride = stride_of(g, b);
  const std::string name = groups == 1 ? names[0] : names.front() + ".." + names.back();
  const ValueId y = g.value(name, {in.shape.n, conv.out_h(), conv.out_w(), conv.k}, conv.out_type);
  g.append(std::make_shared<ConvOp>(conv, Epilogue{}), joined(joined({x}, w), b), {y});
  return y;
}

ValueId dense(Graph& g, ValueId x, const std::string& name, int units, Init init) {
  const Value in = g[x];
  if (in.shape.h != 1 || in.shape.w != 1) throw std::logic_error("dense of " + in.name + ": flatten it first");
  const ValueId w = g.operand(name + ".w", {units, 1, 1, in.shape.c}, limit_of(init, in.shape.c, units));
  const ValueId b = g.weight(name + ".b", {1, 1, 1, units}, 0);
  const ValueId y = g.value(name, {in.shape.n, 1, 1, units}, in.type);
  g.append(std::make_shared<DenseOp>(Dense{in.shape.n, in.shape.c, units, in.type}), {x, w, b}, {y});
  return y;
}

}  // namespace doppel
