// A matrix product a b + bias by oneDNN on operands as they lie. Private to kernels/*_cpu.cc.
#pragma once

#include "kernels/onednn.h"

namespace doppel::onednn {

class Product {
 public:
  Product(const memory::desc& a, const memory::desc& b, const memory::desc& out)
      : pd_(dnnl::matmul::desc(a, b, out), user_scratchpad(), engine()), primitive_(pd_) {}
  // `bias` [1, columns]; `attr` may carry an activation.
  Product(const memory::desc& a, const memory::desc& b, const memory::desc& bias, const memory::desc& out,
          const dnnl::primitive_attr& attr)
      : pd_(dnnl::matmul::desc(a, b, bias, out), attr, engine()), primitive_(pd_), has_bias_(true) {}

  size_t scratch() const { return pd_.scratchpad_desc().get_size(); }

  // `bias` is not read unless the product was built with one.
  void run(const void* a, const void* b, const float* bias, void* out, void* scratchpad) const {
    std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, wrap(pd_.src_desc(), a)},
                                              {DNNL_ARG_WEIGHTS, wrap(pd_.weights_desc(), b)},
                                              {DNNL_ARG_DST, wrap(pd_.dst_desc(), out)},
                                              {DNNL_ARG_SCRATCHPAD, wrap(pd_.scratchpad_desc(), scratchpad)}};
    if (has_bias_) arguments.emplace(DNNL_ARG_BIAS, wrap(pd_.bias_desc(), bias));
    primitive_.execute(stream(), arguments);
  }

 private:
  dnnl::matmul::primitive_desc pd_;
  dnnl::matmul primitive_;
  bool has_bias_ = false;
};

}  // namespace doppel::onednn
