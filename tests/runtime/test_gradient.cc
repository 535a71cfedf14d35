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
// (whose input has two readers), slices read by different decoders, or all of it by grouped ones. Tied: some layers are
// used more than once.
struct Net {
  std::shared_ptr<ParameterLayout> layout;
  std::unique_ptr<Program> program;
  ValueId x = kNoValue, target = kNoValue;
  std::vector<ValueId> losses;
  std::vector<float> weights, gradients;

  explicit Net(bool fused, bool grouped = false,
               std::shared_ptr<ParameterLayout> layout_ = std::make_shared<ParameterLayout>(), bool tied = false)
      : layout(std::move(layout_)) {
    Graph g(layout, DType::f32);
    x = g.value("x", {4, 8, 8, 3}, DType::f32, Role::kept);
    target = g.value("target", {4, 8, 8, 3}, DType::f32, Role::kept);
    ValueId h =
        leaky_relu(g, conv2d(g, x, "down", {.filters = 6, .kernel = 5, .stride = 2, .padding = Padding::same}), 0.1f);
    h = g.reshape(h, {4, 1, 1, 4 * 4 * 6});
    h = rms_norm(g, dense(g, h, "code", 10));
    for (int use = 0; use < (tied ? 2 : 0); ++use) h = rms_norm(g, dense(g, h, "square", 10));
    h = x_cos_x(g, dense(g, h, "open", 4 * 4 * 8));
    h = g.reshape(h, {4, 4, 4, 8});
    ValueId r = leaky_relu(g, conv2d(g, h, "r0", {.filters = 8}), 0.2f);
    h = add_leaky_relu(g, h, conv2d(g, r, "r1", {.filters = 8}), 0.2f);
    const ImageLoss squared{.l1 = 0, .mse = 1};  // finite differences want a smooth loss
    const auto mixed = [&](ValueId y, const std::vector<std::string>& names) {
      return leaky_relu(g, grouped_conv2d(g, y, names, {.filters = 8, .kernel = 1}), 0.2f);
    };
    if (tied) {
      h = mixed(mixed(h, {"twice"}), {"twice"});
      // Of the groups all are used again, and in "one" the first alone, before and after the groups.
      h = mixed(mixed(h, {"both.a", "both.b"}), {"both.a", "both.b"});
      h = mixed(mixed(mixed(h, {"one.a"}), {"one.a", "one.b"}), {"one.a"});
    }
    const auto decoded = [&](ValueId y, const std::vector<std::string>& up, const std::vector<std::string>& out) {
      y = pixel_shuffle(g, x_cos_x(g, grouped_conv2d(g, y, up, {.filters = 12})));
      return sigmoid(g, grouped_conv2d(g, y, out, {.filters = 3, .fp32_output = true}));
    };
    if (grouped) {
      losses.push_back(g.value("losses", {2, 1, 1, 4}, DType::f32, Role::kept));
      image_loss(g, decoded(h, {"a.up", "b.up"}, {"a.out", "b.out"}), target, squared, losses[0]);
    } else {
      for (int p = 0; p < 2; ++p) {
        const std::string name = p ? "b" : "a";
        const ValueId y = decoded(g.slice(h, 2 * p, 2), {name + ".up"}, {name + ".out"});
        losses.push_back(image_loss(g, y, g.slice(target, 2 * p, 2), squared, "loss " + name));
      }
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
    for (ValueId v : losses)
      for (int part = 0; part < program->graph()[v].shape.n; ++part)
        sum += double(static_cast<const float*>(program->data(v))[4 * part]);
    return sum;
  }
};

double flops(const Net& net) {
  double sum = 0;
  for (const Node& node : net.program->graph().nodes) sum += node.op->flops();
  return sum;
}

void check_gradients(Net& net) {
  net.loss();
  const std::vector<float> gradients = net.gradients;
  for (const Parameter& p : net.layout->parameters) {
    // Along the gradient's own direction the change is largest against fp32's noise.
    double norm2 = 0;
    for (int64_t i = 0; i < p.shape.elements(); ++i) norm2 += std::pow(double(gradients[p.offset + size_t(i)]), 2);
    INFO(p.name);
    REQUIRE(norm2 > 0);
    const double step = 4e-4 / std::sqrt(norm2);
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

}  // namespace

TEST_CASE("gradients of a whole graph agree with finite differences", "[gradient]") {
  Net net(true);
  check_gradients(net);
}

TEST_CASE("gradients of grouped convolutions agree with finite differences", "[gradient][groups]") {
  Net net(true, true);
  check_gradients(net);
}

TEST_CASE("the gradient of a parameter that is used several times is the sum over its uses", "[gradient][tied]") {
  for (const bool fused : {false, true}) {
    INFO(fused);
    Net net(fused, true, std::make_shared<ParameterLayout>(), true);
    check_gradients(net);
  }
}

TEST_CASE("grouped convolutions are those of the groups, bit for bit", "[gradient][groups]") {
  Net one_by_one(true);
  // The same places: the other layer of each decoder lies between the groups.
  Net grouped(true, true, one_by_one.layout);
  REQUIRE(grouped.program->graph().nodes.size() < one_by_one.program->graph().nodes.size());
  CHECK(grouped.loss() == one_by_one.loss());
  CHECK(grouped.gradients == one_by_one.gradients);
  CHECK(flops(grouped) == flops(one_by_one));
}

TEST_CASE("groups that do not lie at equal distances are refused", "[gradient][groups]") {
  const auto layout = std::make_shared<ParameterLayout>();
  for (const char* name : {"a", "b", "c"}) {
    layout->declare(std::string(name) + ".w", {8, 3, 3, 8}, 0);
    layout->declare(std::string(name) + ".b", {1, 1, 1, 8}, 0);
    if (*name == 'b') layout->declare("between", {1, 1, 1, 8}, 0);
  }
  Graph g(layout, DType::f32);
  const ValueId x = g.value("x", {6, 4, 4, 8}, DType::f32, Role::kept);
  const ConvOptions options{.filters = 8};
  const auto traced = [&](const std::vector<std::string>& names) { grouped_conv2d(g, x, names, options); };
  CHECK_NOTHROW(traced({"a", "b"}));
  CHECK_NOTHROW(traced({"a", "c"}));
  CHECK_THROWS_AS(traced({"a", "b", "c"}), std::logic_error);
  CHECK_THROWS_AS(traced({"b", "a"}), std::logic_error);
  CHECK_THROWS_AS(traced({"a", "a"}), std::logic_error);
  CHECK_THROWS_AS(traced({}), std::logic_error);
  CHECK_THROWS_AS(traced({"a", "b", "c", "d"}), std::logic_error);  // 6 pictures for 4
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
