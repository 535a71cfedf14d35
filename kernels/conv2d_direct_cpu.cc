// Convolution on the CPU by oneDNN's convolutions.
#include <algorithm>

#include "kernels/conv2d_ways.h"
#include "kernels/onednn.h"

namespace doppel::direct {
namespace {

using dnnl::memory;
using onednn::Reorder;
using Tag = memory::format_tag;

struct Descs {
  memory::desc x, w, b, z;  // ours: NHWC, KRSC
  memory::desc any_w;
  memory::dims strides, pad_low, pad_high;
};

Descs describe(const Conv2d& c, DType z_type) {
  const auto type = onednn::type_of(c.type);
  const auto f32 = memory::data_type::f32;
  Descs d;
  const memory::dims wd{c.k, c.c, c.r, c.s};
  d.x = memory::desc({c.n, c.c, c.h, c.w}, type, Tag::nhwc);
  d.w = memory::desc(wd, type, Tag::ohwi);
  d.any_w = memory::desc(wd, type, Tag::any);
  d.b = memory::desc({c.k}, f32, Tag::x);
  d.z = memory::desc({c.n, c.k, c.out_h(), c.out_w()}, onednn::type_of(z_type), Tag::nhwc);
  d.strides = {c.stride, c.stride};
  d.pad_low = {c.pad_top, c.pad_left};
  d.pad_high = {c.pad_bottom, c.pad_right};
  return d;
}

struct Fprop {
  dnnl::convolution_forward primitive;
  dnnl::convolution_forward::primitive_desc pd;
  Reorder w;
};
struct Dgrad {
  dnnl::convolution_backward_data primitive;
  dnnl::convolution_backward_data::primitive_desc pd;
  Reorder w;
};
struct Wgrad {
  dnnl::convolution_backward_weights primitive;
  dnnl::convolution_backward_weights::primitive_desc pd;
  Reorder dw;
};

dnnl::convolution_forward::primitive_desc fprop_desc(const Descs& d, const Epilogue& e) {
  return {dnnl::convolution_forward::desc(dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, d.x,
                                          d.any_w, d.b, d.z, d.strides, d.pad_low, d.pad_high),
          onednn::with_activation(e), onednn::engine()};
}

struct FpropKey {
  Conv2d conv;
  Epilogue epilogue;
  bool operator==(const FpropKey&) const = default;
};

const Fprop& fprop_of(const Conv2d& conv, Epilogue epilogue) {
  static onednn::Cache<FpropKey, Fprop> cache;
  epilogue.shuffle = false;
  return cache.get({conv, epilogue}, [&] {
    const Descs d = describe(conv, conv.out_type);
    Fprop f;
    f.pd = fprop_desc(d, epilogue);
    f.primitive = dnnl::convolution_forward(f.pd);
    f.w = Reorder(d.w, f.pd.weights_desc());
    return f;
  });
}

const Dgrad& dgrad_of(const Conv2d& conv) {
  static onednn::Cache<Conv2d, Dgrad> cache;
  return cache.get(conv, [&] {
    const Descs d = describe(conv, conv.type);
    Dgrad g;
    g.pd = {dnnl::convolution_backward_data::desc(dnnl::algorithm::convolution_direct, d.x, d.any_w, d.z, d.strides,
                                                  d.pad_low, d.pad_high),
            onednn::user_scratchpad(), onednn::engine(), fprop_desc(d, {})};
    g.primitive = dnnl::convolution_backward_data(g.pd);
    g.w = Reorder(d.w, g.pd.weights_desc());
    return g;
  });
}

const Wgrad& wgrad_of(const Conv2d& conv) {
  static onednn::Cache<Conv2d, Wgrad> cache;
  return cache.get(conv, [&] {
    const Descs d = describe(conv, conv.type);
    const memory::dims wd{conv.k, conv.c, conv.r, conv.s};
    const memory::desc any_dw(wd, memory::data_type::f32, Tag::any);
    Wgrad g;
    g.pd = {dnnl::convolution_backward_weights::desc(dnnl::algorithm::convolution_direct, d.x, any_dw, d.z, d.strides,
                                                     d.pad_low, d.pad_high),
            onednn::user_scratchpad(), onednn::engine(), fprop_desc(d, {})};
    g.primitive = dnnl::convolution_backward_weights(g.pd);
    g.dw = Reorder(g.pd.diff_weights_desc(), memory::desc(wd, memory::data_type::f32, Tag::ohwi));
    return g;
  });
}

struct Pieces {
  void *weights, *scratch;
  size_t bytes;
};

// The same function counts and carves.
template <typename Op>
Pieces carve(const Op& op, const Reorder& reorder, void* base) {
  Carver carver(base);
  Pieces p;
  p.weights = carver.take(reorder.needed ? std::max(reorder.to.get_size(), reorder.from.get_size()) : 0);
  // The reorder and the convolution run one after the other and share the scratchpad.
  p.scratch = carver.take(std::max(op.pd.scratchpad_desc().get_size(), reorder.scratch));
  p.bytes = carver.used();
  return p;
}

}  // namespace

size_t fprop_workspace(const Conv2d& conv, const Epilogue& epilogue) {
  const Fprop& f = fprop_of(conv, epilogue);
  return carve(f, f.w, nullptr).bytes;
}

size_t dgrad_workspace(const Conv2d& conv) {
  const Dgrad& d = dgrad_of(conv);
  return carve(d, d.w, nullptr).bytes;
}

size_t wgrad_workspace(const Conv2d& conv) {
  const Wgrad& g = wgrad_of(conv);
  return carve(g, g.dw, nullptr).bytes;
}

void fprop(void* z, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
           void* workspace) {
  const Fprop& f = fprop_of(conv, epilogue);
  const Pieces p = carve(f, f.w, workspace);
  const void* packed = f.w.run(w, p.weights, p.scratch);
  f.primitive.execute(onednn::stream(), {{DNNL_ARG_SRC, onednn::wrap(f.pd.src_desc(), x)},
                                         {DNNL_ARG_WEIGHTS, onednn::wrap(f.pd.weights_desc(), packed)},
                                         {DNNL_ARG_BIAS, onednn::wrap(f.pd.bias_desc(), b)},
                                         {DNNL_ARG_DST, onednn::wrap(f.pd.dst_desc(), z)},
                                         {DNNL_ARG_SCRATCHPAD, onednn::wrap(f.pd.scratchpad_desc(), p.scratch)}});
}

void dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace) {
  const Dgrad& d = dgrad_of(conv);
  const Pieces p = carve(d, d.w, workspace);
  const void* packed = d.w.run(w, p.weights, p.scratch);
  d.primitive.execute(onednn::stream(), {{DNNL_ARG_DIFF_DST, onednn::wrap(d.pd.diff_dst_desc(), dz)},
                                         {DNNL_ARG_WEIGHTS, onednn::wrap(d.pd.weights_desc(), packed)},
                                         {DNNL_ARG_DIFF_SRC, onednn::wrap(d.pd.diff_src_desc(), dx)},
                                         {DNNL_ARG_SCRATCHPAD, onednn::wrap(d.pd.scratchpad_desc(), p.scratch)}});
}

void wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace) {
  const Wgrad& g = wgrad_of(conv);
  const Pieces p = carve(g, g.dw, workspace);
  void* target = g.dw.needed ? p.weights : dw;
  g.primitive.execute(onednn::stream(), {{DNNL_ARG_SRC, onednn::wrap(g.pd.src_desc(), x)},
                                         {DNNL_ARG_DIFF_DST, onednn::wrap(g.pd.diff_dst_desc(), dz)},
                                         {DNNL_ARG_DIFF_WEIGHTS, onednn::wrap(g.pd.diff_weights_desc(), target)},
                                         {DNNL_ARG_SCRATCHPAD, onednn::wrap(g.pd.scratchpad_desc(), p.scratch)}});
  g.dw.run(target, dw, p.scratch);
}

}  // namespace doppel::direct
