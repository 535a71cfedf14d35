// Differentiation of whole graphs against finite differences: branches, views, values with several readers.
#include <catch2/catch.hpp>
#include <cmath>

#include "kernels/philox.h"
#include "runtime/gradient.h"
#include "runtime/operators.h"
#include "runtime/program.h"

using namespace doppel;

namespace {

// A small network with what models are made of: a dense bottleneck, normalised, x cos x, a reshape, a residual block
// (whose input has two readers), slices read by different decoders.
struct Net {
  std::shared_ptr<ParameterLayout> layout = std::make_shared<ParameterLayout>();
  std::unique_ptr<Program> program;
  ValueId x = kNoValue, target = kNoValue;
  std::vector<ValueId> losses;
  std::vector<float> weights, gradients;

  explicit Net(bool fused) {
    Graph g(layout, DType::f32);
    x = g.value("x", {4, 8, 8, 3}, DType::f32, Role::kept);
    target = g.value("target", {4, 8, 8, 3}, DType::f32, Role::kept);
    ValueId h =
        leaky_relu(g, conv2d(g, x, "down", {.filters = 6, .kernel = 5, .stride = 2, .padding = Padding::same}), 0.1f);
    h = g.reshape(h, {4, 1, 1, 4 * 4 * 6});
    h = rms_norm(g, dense(g, h, "code", 10));
    h = x_cos_x(g, dense(g, h, "open", 4 * 4 * 8));
    h = g.reshape(h, {4, 4, 4, 8});
    ValueId r = leaky_relu(g, conv2d(g, h, "r0", {.filters = 8}), 0.2f);
    h = add_leaky_relu(g, h, conv2d(g, r, "r1", {.filters = 8}), 0.2f);
    for (int p = 0; p < 2; ++p) {
      const std::string name = p ? "b" : "a";
      ValueId y = g.slice(h, 2 * p, 2);
      y = pixel_shuffle(g, leaky_relu(g, conv2d(g, y, name + ".up", {.filters = 12}), 0.1f));
      y = sigmoid(g, conv2d(g, y, name + ".out", {.filters = 3, .fp32_output = true}));
      // Squared error: finite differences want a smooth loss.
      losses.push_back(image_loss(g, y, g.slice(target, 2 * p, 2), {.l1 = 0, .mse = 1}, "loss " + name));
    }
    if (fused) fuse(g);
    differentiate(g);
    program = std::make_unique<Program>(std::move(g), Stream{});
    weights.resize(layout->elements);
    gradients.resize(layout->elements);
    Random random(3, 0, 0);
    for (float& w : weights) w = 0.4f * random.normal();
    program->bind(program->graph().weights, weights.data());
    program->bind(program->graph().gradients, gradients.data());
    for (ValueId v : {x, target}) {
      float* data = static_cast<float*>(program->data(v));
      for (int64_t i = 0; i < program->graph()[v].shape.elements(); ++i) data[i] = random.uniform();
    }
  }

  double loss() {
    program->run_checked();
    double sum = 0;
    for (ValueId v : losses) sum += double(static_cast<const float*>(program->data(v))[0]);
    return sum;
  }
};

}  // namespace

TEST_CASE("gradients of a whole graph agree with finite differences", "[gradient]") {
  Net net(true);
  net.loss();
  const std::vector<float> gradients = net.gradients;
  for (const Parameter& p : net.layout->parameters) {
    // Along the gradient's own direction the change is largest against fp32's noise.
    double norm2 = 0;
    for (int64_t i = 0; i < p.shape.elements(); ++i) norm2 += std::pow(double(gradients[p.offset + size_t(i)]), 2);
    INFO(p.name);
    REQUIRE(norm2 > 0);
    const double step = 2e-3 / std::sqrt(norm2);
    const auto shifted = [&](double by) {
      for (int64_t i = 0; i < p.shape.elements(); ++i)
        net.weights[p.offset + size_t(i)] += float(by * double(gradients[p.offset + size_t(i)]));
      const double loss = net.loss();
      for (int64_t i = 0; i < p.shape.elements(); ++i)
        net.weights[p.offset + size_t(i)] -= float(by * double(gradients[p.offset + size_t(i)]));
      return loss;
    };
    const double measured = (shifted(step) - shifted(-step)) / (2 * step);
    CHECK(measured == Approx(norm2).epsilon(0.03));
  }
}

TEST_CASE("fusing changes nothing but the number of nodes", "[gradient]") {
  Net fused(true), plain(false);
  REQUIRE(fused.program->graph().nodes.size() < plain.program->graph().nodes.size());
  REQUIRE(fused.loss() == Approx(plain.loss()).epsilon(1e-6));
  double scale = 0;
  for (float g : plain.gradients) scale = std::max(scale, std::abs(double(g)));
  for (size_t i = 0; i < plain.gradients.size(); ++i)
    REQUIRE(std::abs(double(fused.gradients[i]) - double(plain.gradients[i])) <= 1e-5 * scale);
}

TEST_CASE("a value that is not finite is named with its node", "[gradient]") {
  Net net(true);
  net.weights[net.layout->parameters.front().offset] = std::nanf("");
  REQUIRE_THROWS_WITH(net.loss(), Catch::Contains("conv2d") && Catch::Contains("is not finite"));
}
