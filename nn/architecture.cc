#include "nn/architecture.h"

#include <algorithm>

#include "runtime/error.h"

namespace doppel {
namespace {

constexpr float kResidualSlope = 0.2f;

// Conv 128, 256, 512, 1024; Dense 1024; Dense 4*4*1024; Up 512 | Up 256, 128, 64; 5x5 convolution to 3.
Architecture original() {
  Architecture a{};
  a.name = "original";
  a.size = 64;
  a.down = {{128, 5}, {256, 5}, {512, 5}, {1024, 5}};
  a.code = 1024;
  a.latent_size = 4;
  a.latent_filters = 1024;
  a.shared = {{512}};
  a.up = {{256}, {128}, {64}};
  a.out_kernel = 5;
  a.slope = 0.1f;
  a.batch = 64;
  a.lr = 5e-5f;
  a.adam.beta1 = 0.5f;
  a.adam.beta2 = 0.999f;
  a.loss.l1 = 1;
  a.match_means = true;
  return a;
}

Architecture lite() {
  Architecture a{};
  a.name = "lite";
  a.size = 64;
  a.down = {{64, 5}, {96, 3}, {160, 3}, {256, 3}};
  a.code = 256;
  a.latent_size = 4;
  a.latent_filters = 256;
  a.shared = {{256}, {128}};
  a.up = {{64}, {32}};
  a.out_kernel = 3;
  a.slope = 0.1f;
  a.init = Init::he;
  // Small batches: a short training wants many steps more than quiet ones.
  a.batch = 8;
  a.lr = 1e-3f;
  a.decay = true;
  a.adam.beta1 = 0.9f;
  a.adam.beta2 = 0.99f;
  a.adam.ema_decay = 0.995f;
  a.loss.l1 = 1;
  a.loss.dssim = 0.5f;
  a.loss.focus = 0.9f;
  a.loss.scales.scale[0].window = 7;
  a.face_only = true;
  // Clips of two people differ in light and colour; an encoder that has seen each face in several codes both alike.
  a.warp.rotation = 10;
  a.warp.zoom = 0.05f;
  a.warp.shift = 0.03f;
  a.warp.jitter = 5.f / 256;
  a.warp.brightness = 0.06f;
  a.warp.contrast = 0.15f;
  a.match_means = true;
  return a;
}

// Every kind of layer that `lite` has; each width a multiple of 8, as the tensor cores want it.
Architecture tiny() {
  Architecture a = lite();
  a.name = "tiny";
  a.size = 32;
  a.down = {{16, 5}, {16, 3}, {24, 3}};
  a.code = 32;
  a.latent_filters = 16;
  a.shared = {{16}};
  a.up = {{16}, {8}};
  a.batch = 1;
  a.decay = false;  // how far a run is to go does not change how it begins
  return a;
}

ValueId residual(Graph& g, ValueId x, const Architecture& a, const std::string& name) {
  const int filters = g[x].shape.c;
  const Init init{a.init, kResidualSlope};
  ValueId y = leaky_relu(g, conv2d(g, x, name + ".conv0", {.filters = filters, .init = init}), kResidualSlope);
  y = conv2d(g, y, name + ".conv1", {.filters = filters, .init = init});
  return add_leaky_relu(g, x, y, kResidualSlope);
}

ValueId upscale(Graph& g, ValueId x, const UpSpec& up, const Architecture& a, const std::string& name) {
  const ConvOptions options{.filters = 4 * up.filters, .init = {a.init, a.slope}};
  x = pixel_shuffle(g, leaky_relu(g, conv2d(g, x, name, options), a.slope));
  for (int i = 0; i < up.residuals; ++i) x = residual(g, x, a, name + ".res" + std::to_string(i));
  return x;
}

}  // namespace

const std::vector<std::string>& architecture_names() {
  static const std::vector<std::string> names{"lite", "original"};
  return names;
}

Architecture architecture(const std::string& name) {
  if (name == "original") return original();
  if (name == "lite") return lite();
  if (name == "tiny") return tiny();
  throw UsageError("--arch " + name + ": unknown architecture; known are lite, original");
}

Architecture narrowed(Architecture a, int divisor) {
  const auto narrow = [&](int& filters) { filters = std::max(1, filters / divisor); };
  for (DownSpec& d : a.down) narrow(d.filters);
  narrow(a.code);
  narrow(a.latent_filters);
  for (UpSpec& u : a.shared) narrow(u.filters);
  for (UpSpec& u : a.up) narrow(u.filters);
  return a;
}

ValueId encode(Graph& g, ValueId x, const Architecture& a) {
  for (size_t i = 0; i < a.down.size(); ++i) {
    const ConvOptions options{.filters = a.down[i].filters,
                              .kernel = a.down[i].kernel,
                              .stride = 2,
                              .padding = Padding::same,
                              .init = {a.init, a.slope}};
    x = leaky_relu(g, conv2d(g, x, "encoder.conv" + std::to_string(i), options), a.slope);
  }
  const Shape s = g[x].shape;
  x = g.reshape(x, {s.n, 1, 1, s.h * s.w * s.c});
  x = dense(g, x, "encoder.dense0", a.code, {a.init});
  x = dense(g, x, "encoder.dense1", a.latent_size * a.latent_size * a.latent_filters, {a.init});
  x = g.reshape(x, {s.n, a.latent_size, a.latent_size, a.latent_filters});
  for (size_t i = 0; i < a.shared.size(); ++i) x = upscale(g, x, a.shared[i], a, "encoder.up" + std::to_string(i));
  return x;
}

ValueId decode(Graph& g, ValueId latent, const Architecture& a, const std::string& person) {
  const std::string name = "decoder." + person;
  ValueId x = latent;
  for (size_t i = 0; i < a.up.size(); ++i) x = upscale(g, x, a.up[i], a, name + ".up" + std::to_string(i));
  return sigmoid(
      g, conv2d(g, x, name + ".out", {.filters = 3, .kernel = a.out_kernel, .fp32_output = true, .init = {a.init}}));
}

double forward_flops(const Architecture& a) {
  Graph g(std::make_shared<ParameterLayout>(), DType::f32);
  decode(g, encode(g, g.value("x", {1, a.size, a.size, 3}, DType::f32, Role::external), a), a, "one");
  double sum = 0;
  for (const Node& node : g.nodes) sum += node.op->flops();
  return sum;
}

}  // namespace doppel
