// What the code between encoder and decoders may pass through, and no convolution carries along. The gradient wants the
// input, which therefore lives until then.
#include "kernels/rms_norm.h"
#include "runtime/gradient.h"
#include "runtime/operators.h"

namespace doppel {
namespace {

class RmsNormBackwardOp : public Operator {
 public:
  explicit RmsNormBackwardOp(const RmsNorm& norm) : norm_(norm) {}
  std::string name() const override { return "rms_norm_backward"; }
  void run(const Arguments& a) const override { rms_norm_backward(a.out[0], a.in[0], a.in[1], norm_, a.stream); }

 private:
  RmsNorm norm_;
};

class RmsNormOp : public Operator {
 public:
  explicit RmsNormOp(const RmsNorm& norm) : norm_(norm) {}
  std::string name() const override { return "rms_norm"; }
  void run(const Arguments& a) const override { rms_norm_forward(a.out[0], a.in[0], norm_, a.stream); }
  void backward(Backward& b, const Node& node) const override {
    b.contribute(node.in[0], [&](ValueId target) {
      b.graph().append(std::make_shared<RmsNormBackwardOp>(norm_), {b.of(node.out[0]), node.in[0]}, {target});
    });
  }

 private:
  RmsNorm norm_;
};

}  // namespace

ValueId rms_norm(Graph& g, ValueId x) {
  const Value in = g[x];
  const ValueId y = g.value("normalised " + in.name, in.shape, in.type);
  g.append(std::make_shared<RmsNormOp>(RmsNorm{in.shape.elements() / in.shape.c, in.shape.c, in.type}), {x}, {y});
  return y;
}

}  // namespace doppel
