#include "bench/bare_onednn.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>

#include "runtime/matrix_operators.h"

namespace doppel::bench {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Call = std::function<void()>;

const dnnl::engine& engine() {
  static const dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}

memory filled(const memory::desc& desc) {
  memory m(desc, engine());
  // 0x3C3C is 0.0115 as bf16, and twice it is 0.0115 as fp32: no denormals, no overflow in sums.
  std::memset(m.get_data_handle(), 0x3C, desc.get_size());
  return m;
}

memory::data_type type_of(DType t) {
  return t == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

template <typename Primitive>
Call call(Primitive primitive, std::unordered_map<int, memory> arguments) {
  auto stream = std::make_shared<dnnl::stream>(engine());
  return [=] {
    primitive.execute(*stream, arguments);
    stream->wait();
  };
}

void add_conv(std::vector<Call>& calls, const Conv2d& c, bool dgrad) {
  const memory::dims strides{c.stride, c.stride}, low{c.pad_top, c.pad_left}, high{c.pad_bottom, c.pad_right};
  const memory::desc x({c.n, c.c, c.h, c.w}, type_of(c.type), Tag::nhwc);
  const memory::desc w({c.k, c.c, c.r, c.s}, type_of(c.type), Tag::any);
  const memory::desc dw({c.k, c.c, c.r, c.s}, memory::data_type::f32, Tag::any);
  const memory::desc z({c.n, c.k, c.out_h(), c.out_w()}, type_of(c.type), Tag::nhwc);
  const auto direct = dnnl::algorithm::convolution_direct;
  const dnnl::convolution_forward::primitive_desc fprop(
      dnnl::convolution_forward::desc(dnnl::prop_kind::forward_training, direct, x, w, z, strides, low, high),
      engine());
  calls.push_back(
      call(dnnl::convolution_forward(fprop),
           {{DNNL_ARG_SRC, filled(x)}, {DNNL_ARG_WEIGHTS, filled(fprop.weights_desc())}, {DNNL_ARG_DST, filled(z)}}));
  if (dgrad) {
    const dnnl::convolution_backward_data::primitive_desc pd(
        dnnl::convolution_backward_data::desc(direct, x, w, z, strides, low, high), engine(), fprop);
    calls.push_back(call(dnnl::convolution_backward_data(pd), {{DNNL_ARG_DIFF_SRC, filled(x)},
                                                               {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())},
                                                               {DNNL_ARG_DIFF_DST, filled(z)}}));
  }
  const dnnl::convolution_backward_weights::primitive_desc pd(
      dnnl::convolution_backward_weights::desc(direct, x, dw, z, strides, low, high), engine(), fprop);
  calls.push_back(call(dnnl::convolution_backward_weights(pd), {{DNNL_ARG_SRC, filled(x)},
                                                                {DNNL_ARG_DIFF_WEIGHTS, filled(pd.diff_weights_desc())},
                                                                {DNNL_ARG_DIFF_DST, filled(z)}}));
}

void add_dense(std::vector<Call>& calls, const Dense& d) {
  const memory::desc x({d.n, d.c}, type_of(d.type), Tag::ab), y({d.n, d.k}, type_of(d.type), Tag::ab);
  const memory::desc w({d.k, d.c}, type_of(d.type), Tag::any), dw({d.k, d.c}, memory::data_type::f32, Tag::any);
  const dnnl::inner_product_forward::primitive_desc fprop(
      dnnl::inner_product_forward::desc(dnnl::prop_kind::forward_training, x, w, y), engine());
  calls.push_back(
      call(dnnl::inner_product_forward(fprop),
           {{DNNL_ARG_SRC, filled(x)}, {DNNL_ARG_WEIGHTS, filled(fprop.weights_desc())}, {DNNL_ARG_DST, filled(y)}}));
  const dnnl::inner_product_backward_data::primitive_desc dgrad(dnnl::inner_product_backward_data::desc(x, w, y),
                                                                engine(), fprop);
  calls.push_back(call(dnnl::inner_product_backward_data(dgrad), {{DNNL_ARG_DIFF_SRC, filled(x)},
                                                                  {DNNL_ARG_WEIGHTS, filled(dgrad.weights_desc())},
                                                                  {DNNL_ARG_DIFF_DST, filled(y)}}));
  const dnnl::inner_product_backward_weights::primitive_desc wgrad(dnnl::inner_product_backward_weights::desc(x, dw, y),
                                                                   engine(), fprop);
  calls.push_back(
      call(dnnl::inner_product_backward_weights(wgrad), {{DNNL_ARG_SRC, filled(x)},
                                                         {DNNL_ARG_DIFF_WEIGHTS, filled(wgrad.diff_weights_desc())},
                                                         {DNNL_ARG_DIFF_DST, filled(y)}}));
}

}  // namespace

std::vector<Call> bare_products(const Graph& graph) {
  std::vector<Call> calls;
  for (const Node& node : graph.nodes) {
    if (const auto* conv = dynamic_cast<const ConvOp*>(node.op.get()))
      for (int g = 0; g < conv->conv().groups; ++g)
        add_conv(calls, one_group(conv->conv()), graph[node.in[0]].needs_gradient);
    if (const auto* dense = dynamic_cast<const DenseOp*>(node.op.get())) add_dense(calls, dense->dense());
  }
  return calls;
}

}  // namespace doppel::bench
