#include "bench/kernel_cases.h"

#include <algorithm>

#include "bench/operands.h"
#include "kernels/activation.h"
#include "kernels/adam.h"
#include "kernels/conv2d.h"
#include "kernels/dense.h"
#include "kernels/pixel_shuffle.h"
#include "kernels/vendor.h"
#include "nn/architecture.h"
#include "runtime/matrix_operators.h"

namespace doppel::bench {
namespace {

struct By {
  std::string name;
  Library library;
};
// Who has matrix products here: ours, and the libraries where they can be used.
std::vector<By> producers(const char* library) {
  std::vector<By> by{{"doppel", Library::doppel}};
#if defined(DOPPEL_CUDNN)
  static const bool present = device_in_use() == Device::cuda && vendor_problem().empty();
  if (present) by.push_back({library, Library::vendor});
#else
  (void)library;
#endif
  return by;
}

void visit_conv(const std::string& layer, const Conv2d& c, const Epilogue& e, bool dgrad, const Visit& visit) {
  const int64_t in = int64_t(c.n) * c.h * c.w * c.c, out = c.out_pixels() * c.k;
  const double element = double(size_of(c.type)), out_element = double(size_of(c.out_type));
  Operands operands;
  void* x = operands.add(c.type, in);
  void* w = operands.add(c.type, c.weights(), -0.05f, 0.05f);
  float* b = operands.add_floats(c.k);
  void* y = operands.add(c.out_type, out);
  void* dy = operands.add(c.out_type, out);
  void* dz = operands.add(c.type, out);
  void* dx = operands.add(c.type, in);
  float *dw = operands.add_floats(c.weights()), *db = operands.add_floats(c.k);
  for (const By& by : producers("cuDNN")) {
    const Library library = by.library;
    const ConvWorkspace bytes = conv2d_workspace(c, e, bench_stream(library));
    void* workspace = operands.scratch(std::max({bytes.fprop, bytes.backward_epilogue, bytes.dgrad, bytes.wgrad}));
    const auto with = [=](Stream stream) { return Stream{stream.device, stream.handle, library}; };
    visit({layer, "fprop", by.name, c.flops(), element * double(in + c.weights()) + out_element * double(out),
           [=](Stream s) { conv2d_fprop(y, x, w, b, c, e, workspace, with(s)); }});
    if (library == Library::doppel)
      visit({layer, "backward epilogue", by.name, 0, (2 * out_element + element) * double(out),
             [=](Stream s) { conv2d_backward_epilogue(dz, db, dy, y, c, e, workspace, s); }});
    if (dgrad)
      visit({layer, "dgrad", by.name, c.flops(), element * double(in + c.weights() + out),
             [=](Stream s) { conv2d_dgrad(dx, dz, w, c, workspace, with(s)); }});
    visit({layer, "wgrad", by.name, c.flops(), element * double(in + out) + 4.0 * double(c.weights()),
           [=](Stream s) { conv2d_wgrad(dw, x, dz, c, workspace, with(s)); }});
  }
}

void visit_dense(const std::string& layer, const Dense& d, const Visit& visit) {
  const int64_t in = int64_t(d.n) * d.c, out = int64_t(d.n) * d.k, weights = int64_t(d.c) * d.k;
  const double element = double(size_of(d.type));
  Operands operands;
  void* x = operands.add(d.type, in);
  void* w = operands.add(d.type, weights, -0.05f, 0.05f);
  float* b = operands.add_floats(d.k);
  void *y = operands.add(d.type, out), *dx = operands.add(d.type, in);
  float *dw = operands.add_floats(weights), *db = operands.add_floats(d.k);
  for (const By& by : producers("cuBLASLt")) {
    const Library library = by.library;
    const DenseWorkspace bytes = dense_workspace(d, bench_stream(library));
    void* workspace = operands.scratch(std::max({bytes.fprop, bytes.dgrad, bytes.wgrad}));
    const auto with = [=](Stream stream) { return Stream{stream.device, stream.handle, library}; };
    const double moved = element * double(in + out + weights);
    visit({layer, "dense fprop", by.name, d.flops(), moved,
           [=](Stream s) { dense_fprop(y, x, w, b, d, workspace, with(s)); }});
    visit({layer, "dense dgrad", by.name, d.flops(), moved,
           [=](Stream s) { dense_dgrad(dx, y, w, d, workspace, with(s)); }});
    visit({layer, "dense wgrad", by.name, d.flops(), element * double(in + out) + 4.0 * double(weights),
           [=](Stream s) { dense_wgrad(dw, db, x, y, d, workspace, with(s)); }});
  }
}

// Kernels on elements, at the size of the largest activation.
void visit_elements(int64_t count, DType type, float slope, const Visit& visit) {
  const double bytes = double(count) * double(size_of(type));
  const std::string what = std::to_string(count) + " elements";
  Operands operands;
  void *y = operands.add(type, count), *a = operands.add(type, count), *b = operands.add(type, count);
  const auto f = Activation::leaky_relu;
  visit({what, "activation", "doppel", 0, 2 * bytes,
         [=](Stream s) { activation_forward(y, a, count, type, f, slope, s); }});
  visit({what, "activation backward", "doppel", 0, 3 * bytes,
         [=](Stream s) { activation_backward(y, a, b, count, type, f, slope, s); }});
  visit({what, "add and activation", "doppel", 0, 3 * bytes,
         [=](Stream s) { add_activation_forward(y, a, b, count, type, f, slope, s); }});
  visit({what, "accumulate", "doppel", 0, 3 * bytes, [=](Stream s) { accumulate(y, a, count, type, s); }});
  const PixelShuffle shuffle{int(count / (16 * 16 * 256)), 16, 16, 64, type};
  visit({what, "pixel shuffle", "doppel", 0, 2 * bytes, [=](Stream s) { pixel_shuffle_forward(y, a, shuffle, s); }});
  visit({what, "pixel shuffle backward", "doppel", 0, 2 * bytes,
         [=](Stream s) { pixel_shuffle_backward(y, a, shuffle, s); }});
}

void visit_optimiser(int64_t count, const AdamOptions& o, const Visit& visit) {
  const std::string what = std::to_string(count) + " parameters";
  Operands operands;
  float *w = operands.add_floats(count), *m = operands.add_floats(count), *v = operands.add_floats(count, 0, 1);
  float *g = operands.add_floats(count), *average = operands.add_floats(count), *norm = operands.add_floats(1);
  Bf16* copy = static_cast<Bf16*>(operands.add(DType::bf16, count));
  StepState* state = operands.upload(StepState{1, 100, 1e-4f, 0});
  void* workspace = operands.scratch(global_norm_workspace(count, bench_stream()));
  AdamOptions all = o;
  all.clip_norm = 1;
  all.ema_decay = 0.999f;
  visit({what, "adam", "doppel", 0, 30.0 * double(count), [=](Stream s) {
           adam({w, m, v, g, nullptr, copy, count}, norm, state, o, s);
         }});
  visit({what, "adam, clipped, average", "doppel", 0, 38.0 * double(count), [=](Stream s) {
           adam({w, m, v, g, average, copy, count}, norm, state, all, s);
         }});
  visit({what, "global norm", "doppel", 0, 4.0 * double(count),
         [=](Stream s) { global_norm(norm, g, count, workspace, s); }});
  visit({what, "first non-finite", "doppel", 0, 4.0 * double(count),
         [=](Stream s) { first_nonfinite(g, count, DType::f32, s); }});
  visit({what, "cast to bf16", "doppel", 0, 6.0 * double(count), [=](Stream s) { cast_to_bf16(copy, w, count, s); }});
}

}  // namespace

void visit_kernels(const std::string& arch, int batch, DType type, const Visit& visit) {
  const Architecture a = architecture(arch);
  const auto layout = std::make_shared<ParameterLayout>();
  // The encoder sees both people's pictures, each decoder its own; the layers as training fuses them.
  Graph encoder(layout, type);
  const ValueId x = encoder.value("x", {kPeople * batch, a.size, a.size, 3}, type, Role::external);
  Shape latent = encoder[encode(encoder, x, a)].shape;
  latent.n = batch;
  Graph decoder(layout, type);
  decode(decoder, decoder.value("latent", latent, type, Role::external), a, "a");
  int64_t largest = 0;
  for (Graph* graph : {&encoder, &decoder}) {
    fuse(*graph);
    for (const Node& node : graph->nodes) {
      const std::string& weight = (*graph)[node.in.size() > 1 ? node.in[1] : node.in[0]].name;
      const std::string layer = weight.substr(0, weight.rfind('.'));
      if (const auto* conv = dynamic_cast<const ConvOp*>(node.op.get())) {
        visit_conv(layer, conv->conv(), conv->epilogue(), graph == &decoder || node.in[0] != x, visit);
        largest = std::max(largest, conv->conv().out_pixels() * conv->conv().k);
      }
      if (const auto* dense = dynamic_cast<const DenseOp*>(node.op.get())) visit_dense(layer, dense->dense(), visit);
    }
  }
  Graph other(layout, type);  // declares the second decoder's parameters
  decode(other, other.value("latent", latent, type, Role::external), a, "b");
  visit_elements(largest / (16 * 16 * 256) * (16 * 16 * 256), type, a.slope, visit);
  visit_optimiser(int64_t(layout->elements), a.adam, visit);
  visit_pictures(a, batch, type, visit);
}

Peak measured_peak(double seconds, const std::function<void(const KernelCase&, double)>& each) {
  const bool rehearsed = device_in_use() == Device::emulator;
  Peak peak;
  const auto measure = [&](const KernelCase& c) {
    const double t = time_on_card(c.run, seconds);
    peak.flops = std::max(peak.flops, c.flops / t);
    if (c.flops == 0) peak.bytes = c.bytes / t;
    each(c, t);
  };
  const int n = rehearsed ? 64 : 8192;
  const std::string side = std::to_string(n);
  visit_dense(side + " x " + side + " x " + side, {n, n, n, DType::bf16}, [&](const KernelCase& c) {
    if (c.kernel == "dense fprop") measure(c);
  });
  const size_t bytes = size_t(1) << (rehearsed ? 20 : 30);
  Operands operands;
  void *to = operands.scratch(bytes), *from = operands.scratch(bytes);
  measure({std::to_string(bytes >> 20) + " MiB", "copy", "driver", 0, 2.0 * double(bytes),
           [=](Stream s) { copy_on_card(to, from, bytes, s); }});
  return peak;
}

}  // namespace doppel::bench
