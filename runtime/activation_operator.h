// The node of an activation function, which fuse() (runtime/operators.h) takes into a convolution's.
#pragma once

#include "kernels/activation.h"
#include "runtime/graph.h"

namespace doppel {

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

}  // namespace doppel
