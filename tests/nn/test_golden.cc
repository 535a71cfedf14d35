// The first autoencoder at reduced width against its loss curve and gradients in PyTorch, in double precision
// (tests/golden/make_golden.py): network, losses, differentiation, initialisation and Adam in one go.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

#include "kernels/philox.h"
#include "nn/training_step.h"
#include "runtime/json.h"

using namespace doppel;

namespace {

Json read_golden() {
  const std::string path = std::string(DOPPEL_TEST_DATA) + "/original_small.json";
  std::ifstream file(path);
  REQUIRE(file.good());
  std::stringstream text;
  text << file.rdbuf();
  return Json::parse(text.str(), path);
}

// The pictures that make_golden.py draws: see "batch" in the file.
struct Batch {
  std::vector<float> input, target;
};
Batch draw_batch(uint64_t seed, uint64_t step, int samples, int size) {
  Batch batch;
  for (int i = 0; i < samples; ++i) {
    Random random(seed, step, uint32_t(i));
    double u[9];
    for (double& v : u) v = double(random.uniform());
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x)
        for (int c = 0; c < 3; ++c) {
          const double turns = 2 * u[3 * c] * x / size + 2 * u[3 * c + 1] * y / size + u[3 * c + 2];
          const double target = 0.5 + 0.3 * std::sin(2 * 3.14159265358979323846 * turns);
          batch.target.push_back(float(target));
          batch.input.push_back(float(target + 0.2 * (double(random.uniform()) - 0.5)));
        }
  }
  return batch;
}

struct Run {
  std::vector<std::vector<double>> losses;  // [steps][people]
  ParameterStore store;
  std::vector<float> start, after_first, first_gradients;  // as laid out in the store
};

Run train(const Json& golden, DType precision) {
  StepOptions options;
  options.arch = narrowed(architecture("original"), int(golden.at("narrowed").number()));
  for (const Json& name : golden.at("people").elements()) options.people.push_back(name.text());
  options.batch = int(golden.at("samples_per_person").number());
  options.precision = precision;
  options.draw = false;

  const Json& adam = golden.at("adam");
  REQUIRE(double(options.arch.lr) == Approx(adam.at("lr").number()));
  REQUIRE(double(options.arch.adam.beta1) == Approx(adam.at("beta1").number()));
  REQUIRE(double(options.arch.adam.beta2) == Approx(adam.at("beta2").number()));
  REQUIRE(double(options.arch.adam.eps) == Approx(adam.at("eps").number()));

  Run run;
  const auto layout = declare_parameters(options.arch, options.people);
  run.store = make_store(layout, precision, false);
  initialize(run.store, uint64_t(golden.at("weight_seed").number()));
  const auto copy = [&](const Buffer& b) {
    return std::vector<float>(b.as<float>(), b.as<float>() + layout->elements);
  };
  run.start = copy(run.store.weights);

  TrainingStep step(options, layout, nullptr);
  StepState state{1, 0, options.arch.lr, 0};
  step.bind(run.store, &state);
  const int samples = int(options.people.size()) * options.batch;
  for (uint64_t i = 0; i < golden.at("losses").elements().size(); ++i) {
    const Batch batch = draw_batch(uint64_t(golden.at("batch_seed").number()), i, samples, options.arch.size);
    step.set_batch(batch.input.data(), batch.target.data());
    step.program().run();
    std::vector<double> losses;
    for (const TrainingStep::Loss& loss : step.losses()) losses.push_back(double(loss.total));
    run.losses.push_back(losses);
    if (i > 0) continue;
    run.first_gradients = copy(run.store.gradients);
    run.after_first = copy(run.store.weights);
  }
  return run;
}

// Calls visit(what the file says of a parameter, where it lies).
template <typename Visit>
void for_parameters(const Json& golden, const Run& run, Visit&& visit) {
  const auto& told = golden.at("parameters").elements();
  const auto& ours = run.store.layout->parameters;
  REQUIRE(told.size() == ours.size());
  for (size_t i = 0; i < told.size(); ++i) {
    INFO(ours[i].name);
    REQUIRE(told[i].at("name").text() == ours[i].name);
    int64_t elements = 1;
    for (const Json& n : told[i].at("shape").elements()) elements *= int64_t(n.number());
    REQUIRE(elements == ours[i].shape.elements());
    visit(told[i], ours[i]);
  }
}

double norm(const float* values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double(values[i]) * double(values[i]);
  return std::sqrt(sum);
}

// Everything the file tells, each to `tolerance` of the size that the gradient of the parameter has; of the few hundred
// single entries the worst strays some times as far as the whole.
void check_gradients(const Json& golden, const Run& run, double tolerance) {
  for_parameters(golden, run, [&](const Json& told, const Parameter& p) {
    const Json& gradient = told.at("gradient");
    const float* g = run.first_gradients.data() + p.offset;
    const double size = gradient.at("norm").number(), count = double(p.shape.elements());
    REQUIRE(size > 0);
    CHECK(std::abs(norm(g, p.shape.elements()) - size) <= tolerance * size);
    double sum = 0;
    for (int64_t i = 0; i < p.shape.elements(); ++i) sum += double(g[i]);
    CHECK(std::abs(sum - gradient.at("sum").number()) <= tolerance * size * std::sqrt(count));
    for (const Json& entry : gradient.at("entries").elements()) {
      const double want = entry.elements().at(1).number();
      const double got = double(g[size_t(entry.elements().at(0).number())]);
      CHECK(std::abs(got - want) <= 3 * tolerance * (std::abs(want) + size / std::sqrt(count)));
    }
  });
}

void check_losses(const Json& golden, const Run& run, double tolerance) {
  const auto& told = golden.at("losses").elements();
  REQUIRE(told.size() == run.losses.size());
  for (size_t step = 0; step < told.size(); ++step)
    for (size_t person = 0; person < run.losses[step].size(); ++person) {
      INFO("step " << step << " person " << person);
      const double want = told[step].elements().at(person).number();
      CHECK(std::abs(run.losses[step][person] - want) <= tolerance * want);
    }
}

// How far Adam has moved each parameter after the first step and after the last. Its early steps are of one size for
// all elements, so of n elements one whose gradient is hardly more than its rounding is 1 / 2n of the norm: `stray` is
// how many such are allowed.
void check_changes(const Json& golden, const Run& run, double first_tolerance, double last_tolerance, int stray) {
  for_parameters(golden, run, [&](const Json& told, const Parameter& p) {
    const auto check_change = [&](const float* weights, double want, double tolerance) {
      std::vector<float> change;
      for (size_t at = p.offset; at < p.offset + size_t(p.shape.elements()); ++at)
        change.push_back(weights[at] - run.start[at]);
      CHECK(std::abs(norm(change.data(), p.shape.elements()) - want) <= tolerance * want);
    };
    const auto& change = told.at("change").elements();
    const double strays = stray / (2 * double(p.shape.elements()));
    check_change(run.after_first.data(), change.at(0).number(), first_tolerance + strays);
    check_change(run.store.weights.as<float>(), change.at(1).number(), last_tolerance + strays);
  });
}

}  // namespace

TEST_CASE("the first autoencoder trains as in PyTorch, fp32", "[golden]") {
  const Json golden = read_golden();
  const Run run = train(golden, DType::f32);
  // fp32 sums of up to a few thousand terms: some 1e-6. Gradients pass eight layers and sums over many pixels.
  check_losses(golden, run, 1e-5);
  check_gradients(golden, run, 1e-4);
  // Later on the roundings of early steps have grown: in PyTorch, too, fp32 and double differ by up to 1 % by now.
  check_changes(golden, run, 1e-3, 0.03, 0);
}

TEST_CASE("the first autoencoder trains as in PyTorch, bf16", "[golden]") {
  const Json golden = read_golden();
  const Run run = train(golden, DType::bf16);
  // Each rounding to bf16 costs up to 2^-8 of a value, at random: a loss averages that over its pixels, a gradient
  // collects it over the layers on its way.
  check_losses(golden, run, 2e-3);
  check_gradients(golden, run, 0.1);
  check_changes(golden, run, 0.1, 0.1, 2);
}
