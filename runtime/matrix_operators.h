// The nodes that multiply matrices: convolution and dense layer. Their gradients' nodes are private to the source file.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/dense.h"
#include "runtime/graph.h"

namespace doppel {

// in: x, the weights of each group, the biases of each group.
class ConvOp : public Operator {
 public:
  ConvOp(const Conv2d& conv, const Epilogue& epilogue) : conv_(conv), epilogue_(epilogue) { check(conv, epilogue); }
  std::string name() const override;
  std::string fused() const override;
  double flops() const override { return conv_.flops(); }
  size_t workspace(Stream stream) const override { return conv2d_workspace(conv_, epilogue_, stream).fprop; }
  void run(const Arguments& a) const override;
  void backward(Backward& b, const Node& node) const override;

  const Conv2d& conv() const { return conv_; }
  const Epilogue& epilogue() const { return epilogue_; }

 private:
  Conv2d conv_;
  Epilogue epilogue_;
};

class DenseOp : public Operator {
 public:
  explicit DenseOp(const Dense& dense) : dense_(dense) {}
  std::string name() const override { return "dense"; }
  std::string fused() const override { return "bias"; }
  double flops() const override { return dense_.flops(); }
  size_t workspace(Stream stream) const override { return dense_workspace(dense_, stream).fprop; }
  void run(const Arguments& a) const override;
  void backward(Backward& b, const Node& node) const override;

  const Dense& dense() const { return dense_; }

 private:
  Dense dense_;
};

}  // namespace doppel
