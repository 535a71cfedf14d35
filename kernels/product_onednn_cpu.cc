// Matrix products by oneDNN (kernels/product_cpu.h).
#include "kernels/onednn.h"
#include "kernels/product_cpu.h"

namespace doppel::onednn {
namespace {

using Tag = memory::format_tag;

struct Matmul {
  dnnl::matmul::primitive_desc pd;
  dnnl::matmul primitive;
};

Matmul build(const ProductShape& s) {
  const auto type = type_of(s.type);
  const memory::desc a({s.rows, s.inner}, type, s.a_transposed ? Tag::ba : Tag::ab);
  const memory::desc b({s.inner, s.columns}, type, s.b_transposed ? Tag::ba : Tag::ab);
  const memory::desc out({s.rows, s.columns}, type_of(s.out_type), Tag::ab);
  const memory::desc bias({1, s.columns}, memory::data_type::f32, Tag::ab);
  const dnnl::matmul::desc desc = s.bias ? dnnl::matmul::desc(a, b, bias, out) : dnnl::matmul::desc(a, b, out);
  Matmul m;
  m.pd = dnnl::matmul::primitive_desc(desc, with_activation(s.epilogue), engine());
  m.primitive = dnnl::matmul(m.pd);
  return m;
}

const Matmul& matmul_of(const ProductShape& s) {
  static Cache<ProductShape, Matmul> cache;
  return cache.get(s, [&] { return build(s); });
}

}  // namespace

size_t product_scratch(const ProductShape& shape) {
  return matmul_of(shape).pd.scratchpad_desc().get_size();
}

void product(void* out, const void* a, const void* b, const float* bias, const ProductShape& shape, void* scratch) {
  const Matmul& m = matmul_of(shape);
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, wrap(m.pd.src_desc(), a)},
                                            {DNNL_ARG_WEIGHTS, wrap(m.pd.weights_desc(), b)},
                                            {DNNL_ARG_DST, wrap(m.pd.dst_desc(), out)},
                                            {DNNL_ARG_SCRATCHPAD, wrap(m.pd.scratchpad_desc(), scratch)}};
  if (shape.bias) arguments.emplace(DNNL_ARG_BIAS, wrap(m.pd.bias_desc(), bias));
  m.primitive.execute(stream(), arguments);
}

}  // namespace doppel::onednn
