#include "bench/kernel_cases.h"

#include <algorithm>
#include <stdexcept>

#include "bench/operands.h"
#include "bench/program.h"
#include "kernels/activation.h"
#include "kernels/adam.h"
#include "kernels/conv2d.h"
#include "kernels/dense.h"
#include "kernels/pixel_shuffle.h"
#include "kernels/vendor.h"
#include "nn/training_step.h"
#include "runtime/kernel_cache.h"

namespace doppel::bench {
namespace {

// Who has matrix products here: ours, and the libraries where one of them can be used.
std::vector<Library> producers() {
  static const bool libraries = device_in_use() == Device::cuda && !vendor_libraries().versions().empty();
  return libraries ? std::vector<Library>{Library::doppel, Library::vendor} : std::vector<Library>{Library::doppel};
}

struct Candidate {
  Library library;
  KernelChoice choice;
  std::string problem;  // why the library has none
};

// The kernels of a pass: what is taken by itself, of us and of the library, or everything that can be chosen.
// `choices`: of a stream with either library.
template <typename Choices>
std::vector<Candidate> candidates(bool all, const Choices& choices) {
  std::vector<Candidate> found;
  for (const Library library : producers()) {
    try {
      for (const KernelChoice& choice : choices(bench_stream(library))) {
        found.push_back({library, choice, ""});
        if (!all) break;
      }
    } catch (const std::runtime_error& e) {
      found.push_back({library, {}, e.what()});
    }
  }
  return found;
}

// A case of each candidate. `run(kernel)` is the pass by that kernel.
template <typename Run>
void visit_candidates(KernelCase base, const std::vector<Candidate>& all, const std::string& library, const Run& run,
                      const Visit& visit) {
  for (const Candidate& c : all) {
    base.by = c.library == Library::doppel ? "doppel" : library;
    base.choice = c.problem.empty() ? to_string(c.choice) : "";
    // A library's failure is met where the case is timed, like any other.
    if (c.problem.empty())
      base.run = run(c.choice);
    else
      base.run = [problem = c.problem](Stream) { throw std::runtime_error(problem); };
    visit(base);
  }
}

// Of ConvWorkspace or DenseWorkspace.
template <typename Workspace>
size_t bytes_of(const Workspace& bytes, Pass pass) {
  return pass == Pass::fprop ? bytes.fprop : pass == Pass::dgrad ? bytes.dgrad : bytes.wgrad;
}

// Product is Conv2d or Dense.
template <typename Product>
Product by(Product product, Pass pass, const KernelChoice& choice) {
  product.kernels[pass] = choice;
  return product;
}

void visit_conv(const ConvLayer& layer, bool all, const Visit& visit) {
  const Conv2d& c = layer.conv;
  const Epilogue& e = layer.epilogue;
  const int64_t in = c.groups * c.in_elements(), out = c.groups * c.out_elements(), weights = c.groups * c.weights();
  const double element = double(size_of(c.type)), out_element = double(size_of(c.out_type));
  std::vector<Candidate> kernels[3];
  size_t most = conv2d_workspace(c, e, bench_stream()).backward_epilogue;
  for (const Pass pass : kPasses) {
    kernels[int(pass)] = candidates(all, [&](Stream s) { return conv2d_choices(c, pass, s); });
    for (const Candidate& k : kernels[int(pass)])
      most = std::max(most, bytes_of(conv2d_workspace(by(c, pass, k.choice), e, bench_stream()), pass));
  }
  Operands operands;
  void* x = operands.add(c.type, in);
  void* w = operands.add(c.type, weights, -0.05f, 0.05f);
  float* b = operands.add_floats(c.groups * c.k);
  void* y = operands.add(c.out_type, out);
  void* dy = operands.add(c.out_type, out);
  void* dz = operands.add(c.type, out);
  void* dx = operands.add(c.type, in);
  float *dw = operands.add_floats(weights), *db = operands.add_floats(c.groups * c.k);
  void* workspace = operands.scratch(most);
  // cuDNN's groups are channels side by side in one pixel; ours are pictures one after the other, so it is called for
  // each.
  const std::string library = (c.groups > 1 ? std::to_string(c.groups) + " x " : "") + "cuDNN";
  const auto pass_of = [&](Pass pass, const auto& run) {
    visit_candidates(
        {layer.name, name_of(pass), "", "", c.flops(), pass_bytes(c, pass), {}}, kernels[int(pass)], library,
        [&](const KernelChoice& k) -> std::function<void(Stream)> {
          return [=, chosen = by(c, pass, k)](Stream s) { run(chosen, s); };
        },
        visit);
  };
  pass_of(Pass::fprop, [=](const Conv2d& chosen, Stream s) { conv2d_fprop(y, x, w, b, chosen, e, workspace, s); });
  if (!all)
    visit({layer.name, "backward epilogue", "doppel", "", 0, (2 * out_element + element) * double(out),
           [=](Stream s) { conv2d_backward_epilogue(dz, db, dy, y, c, e, workspace, s); }});
  if (layer.dgrad)
    pass_of(Pass::dgrad, [=](const Conv2d& chosen, Stream s) { conv2d_dgrad(dx, dz, w, chosen, workspace, s); });
  pass_of(Pass::wgrad, [=](const Conv2d& chosen, Stream s) { conv2d_wgrad(dw, x, dz, chosen, workspace, s); });
}

void visit_dense(const DenseLayer& layer, bool all, const Visit& visit) {
  const Dense& d = layer.dense;
  const int64_t in = int64_t(d.n) * d.c, out = int64_t(d.n) * d.k, weights = int64_t(d.c) * d.k;
  std::vector<Candidate> kernels[3];
  size_t most = 0;
  for (const Pass pass : kPasses) {
    kernels[int(pass)] = candidates(all, [&](Stream s) { return dense_choices(d, pass, s); });
    for (const Candidate& k : kernels[int(pass)])
      most = std::max(most, bytes_of(dense_workspace(by(d, pass, k.choice), bench_stream()), pass));
  }
  Operands operands;
  void* x = operands.add(d.type, in);
  void* w = operands.add(d.type, weights, -0.05f, 0.05f);
  float* b = operands.add_floats(d.k);
  void *y = operands.add(d.type, out), *dx = operands.add(d.type, in);
  float *dw = operands.add_floats(weights), *db = operands.add_floats(d.k);
  void* workspace = operands.scratch(most);
  const auto pass_of = [&](Pass pass, const auto& run) {
    visit_candidates(
        {layer.name, std::string("dense ") + name_of(pass), "", "", d.flops(), pass_bytes(conv_of(d), pass), {}},
        kernels[int(pass)], "cuBLASLt",
        [&](const KernelChoice& k) -> std::function<void(Stream)> {
          return [=, chosen = by(d, pass, k)](Stream s) { run(chosen, s); };
        },
        visit);
  };
  pass_of(Pass::fprop, [=](const Dense& chosen, Stream s) { dense_fprop(y, x, w, b, chosen, workspace, s); });
  pass_of(Pass::dgrad, [=](const Dense& chosen, Stream s) { dense_dgrad(dx, y, w, chosen, workspace, s); });
  pass_of(Pass::wgrad, [=](const Dense& chosen, Stream s) { dense_wgrad(dw, db, x, y, chosen, workspace, s); });
}

// Kernels on elements, at the size of the largest activation.
void visit_elements(int64_t count, DType type, float slope, const Visit& visit) {
  const double bytes = double(count) * double(size_of(type));
  const std::string what = std::to_string(count) + " elements";
  Operands operands;
  void *y = operands.add(type, count), *a = operands.add(type, count), *b = operands.add(type, count);
  const auto f = Activation::leaky_relu;
  visit({what, "activation", "doppel", "", 0, 2 * bytes,
         [=](Stream s) { activation_forward(y, a, count, type, f, slope, s); }});
  visit({what, "activation backward", "doppel", "", 0, 3 * bytes,
         [=](Stream s) { activation_backward(y, a, b, count, type, f, slope, s); }});
  visit({what, "add and activation", "doppel", "", 0, 3 * bytes,
         [=](Stream s) { add_activation_forward(y, a, b, count, type, f, slope, s); }});
  visit({what, "accumulate", "doppel", "", 0, 3 * bytes, [=](Stream s) { accumulate(y, a, count, type, s); }});
  const PixelShuffle shuffle{int(count / (16 * 16 * 256)), 16, 16, 64, type};
  visit(
      {what, "pixel shuffle", "doppel", "", 0, 2 * bytes, [=](Stream s) { pixel_shuffle_forward(y, a, shuffle, s); }});
  visit({what, "pixel shuffle backward", "doppel", "", 0, 2 * bytes,
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
  visit({what, "adam", "doppel", "", 0, 30.0 * double(count), [=](Stream s) {
           adam({w, m, v, g, nullptr, copy, count}, norm, state, o, s);
         }});
  visit({what, "adam, clipped, average", "doppel", "", 0, 38.0 * double(count), [=](Stream s) {
           adam({w, m, v, g, average, copy, count}, norm, state, all, s);
         }});
  visit({what, "global norm", "doppel", "", 0, 4.0 * double(count),
         [=](Stream s) { global_norm(norm, g, count, workspace, s); }});
  visit({what, "first non-finite", "doppel", "", 0, 4.0 * double(count),
         [=](Stream s) { first_nonfinite(g, count, DType::f32, s); }});
  visit(
      {what, "cast to bf16", "doppel", "", 0, 6.0 * double(count), [=](Stream s) { cast_to_bf16(copy, w, count, s); }});
}

}  // namespace

void visit_layers(const Layers& layers, bool all, const Visit& visit) {
  for (const ConvLayer& layer : layers.convs) visit_conv(layer, all, visit);
  for (const DenseLayer& layer : layers.denses) visit_dense(layer, all, visit);
}

void visit_others(const Architecture& a, int batch, DType type, const Visit& visit) {
  int64_t largest = 0;
  for (const ConvLayer& layer : layers_of(a, batch, type).convs)
    largest = std::max(largest, layer.conv.groups * layer.conv.out_elements());
  visit_elements(largest / (16 * 16 * 256) * (16 * 16 * 256), type, a.slope, visit);
  visit_optimiser(int64_t(declare_parameters(a, {"a", "b"})->elements), a.adam, visit);
  visit_pictures(a, batch, type, visit);
}

}  // namespace doppel::bench
