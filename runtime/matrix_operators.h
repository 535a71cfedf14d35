// The nodes that multiply matrices: convolution and dense layer. Their gradients' nodes are private to the source file.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/dense.h"
#include "runtime/graph.h"

namespace doppel {

// "fprop conv2d [64,32,32,128] to 256, 5x5 / 2, pad 1 1 2 2, bf16 to bf16, leaky_relu": all that the time of a product
// depends on, but the card.
std::string describe(const Conv2d& conv, const Epilogue& epilogue, Pass pass);
std::string describe(const Dense& dense, Pass pass);

// What the three products of a convolution have in common: their kernels can be chosen. Op is the class itself.
template <typename Op, Pass kPass>
class ConvProduct : public Operator {
 public:
  ConvProduct(const Conv2d& conv, const Epilogue& epilogue) : conv_(conv), epilogue_(epilogue) {}
  double flops() const override { return conv_.flops(); }
  std::string size_problem() const override { return doppel::size_problem(conv_); }
  std::string product() const override { return describe(conv_, epilogue_, kPass); }
  std::vector<KernelChoice> choices(Stream stream) const override { return conv2d_choices(conv_, kPass, stream); }
  KernelChoice choice() const override { return conv_.kernels[kPass]; }
  std::shared_ptr<const Operator> with(const KernelChoice& choice) const override {
    auto op = std::make_shared<Op>(static_cast<const Op&>(*this));
    op->conv_.kernels[kPass] = choice;
    return op;
  }

 protected:
  Conv2d conv_;
  Epilogue epilogue_;
};

// The same of a dense layer.
template <typename Op, Pass kPass>
class DenseProduct : public Operator {
 public:
  explicit DenseProduct(const Dense& dense) : dense_(dense) {}
  double flops() const override { return dense_.flops(); }
  std::string product() const override { return describe(dense_, kPass); }
  std::vector<KernelChoice> choices(Stream stream) const override { return dense_choices(dense_, kPass, stream); }
  KernelChoice choice() const override { return dense_.kernels[kPass]; }
  std::shared_ptr<const Operator> with(const KernelChoice& choice) const override {
    auto op = std::make_shared<Op>(static_cast<const Op&>(*this));
    op->dense_.kernels[kPass] = choice;
    return op;
  }

 protected:
  Dense dense_;
};

// in: x, the weights of each group, the biases of each group.
class ConvOp : public ConvProduct<ConvOp, Pass::fprop> {
 public:
  ConvOp(const Conv2d& conv, const Epilogue& epilogue) : ConvProduct(conv, epilogue) { check(conv, epilogue); }
  std::string name() const override;
  std::string fused() const override;
  size_t workspace(Stream stream) const override { return conv2d_workspace(conv_, epilogue_, stream).fprop; }
  void run(const Arguments& a) const override;
  void backward(Backward& b, const Node& node) const override;

  const Conv2d& conv() const { return conv_; }
  const Epilogue& epilogue() const { return epilogue_; }
};

class DenseOp : public DenseProduct<DenseOp, Pass::fprop> {
 public:
  using DenseProduct::DenseProduct;
  std::string name() const override { return "dense"; }
  std::string fused() const override { return "bias"; }
  size_t workspace(Stream stream) const override { return dense_workspace(dense_, stream).fprop; }
  void run(const Arguments& a) const override;
  void backward(Backward& b, const Node& node) const override;

  const Dense& dense() const { return dense_; }
};

}  // namespace doppel
