// Training steps that compute values again: the same bits, in less memory, and only when that is wanted.
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "nn/step_driver.h"
#include "nn/trainer.h"
#include "runtime/devices.h"

using namespace doppel;

namespace {

constexpr int kFaceSize = 64;
constexpr uint32_t kFaces = 3;

// `lite`, so narrow that emulated threads get through it.
StepOptions tiny(DType precision, Stream stream) {
  StepOptions options;
  options.arch = architecture("lite");
  options.arch.size = 32;
  options.arch.down = {{16, 5}, {16, 3}, {24, 3}};
  options.arch.code = 32;
  options.arch.latent_filters = 16;
  options.arch.shared = {{16}};
  options.arch.up = {{16}, {8}};
  options.arch.warp.face_size = kFaceSize;
  options.people = {"a", "b"};
  options.batch = 2;
  options.precision = precision;
  options.stream = stream;
  return options;
}

// Weights, moments, average and losses after two steps.
std::vector<float> results(const StepOptions& options) {
  const testing::Guard guard;
  std::vector<Buffer> faces;
  WarpFaces sets{};
  for (uint32_t p = 0; p < 2; ++p) {
    std::vector<uint8_t> pixels(size_t(kFaces) * kFaceSize * kFaceSize * 3);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(128 + 100 * std::sin(double(i) * (0.01 + p)));
    faces.emplace_back(pixels.size(), options.stream.device);
    upload(faces[p].data(), pixels.data(), pixels.size(), options.stream);
    sets.pixels[p] = faces[p].as<uint8_t>();
    sets.faces[p] = kFaces;
  }
  const auto layout = declare_parameters(options.arch, options.people);
  ParameterStore store = make_store(layout, options.precision, true, options.stream);
  initialize(store, 4);
  TrainingStep step(options, layout, &sets);
  StepDriver driver(step, store, 2, options.stream);
  driver.set_state({9, 0, 0, 0});
  std::vector<float> all;
  for (int i = 0; i < 2; ++i) {
    driver.start(1e-3f, true);
    for (const TrainingStep::Loss& loss : driver.take_losses()) all.push_back(loss.total);
  }
  for (const Buffer* arena : {&store.weights, &store.gradients, &store.m, &store.v, &store.average}) {
    const HostCopy host(*arena, options.stream);
    all.insert(all.end(), host.as<float>(), host.as<float>() + layout->elements);
  }
  return all;
}

StepOptions lite(int batch) {
  ModelDescription m;
  m.architecture = "lite";
  m.people = {"a", "b"};
  m.face_size = kFaceSize;
  m.batch = batch;
  m.precision = "fp32";
  return step_options(m);
}

}  // namespace

TEST_CASE("a step that computes values again ends with the same bits", "[recompute][emulator]") {
  for (const Device device : testing::devices())
    for (const DType precision : {DType::f32, DType::bf16}) {
      INFO(testing::name_of(device) << ", " << (precision == DType::f32 ? "fp32" : "bf16"));
      const DeviceStream stream(device);
      StepOptions options = tiny(precision, stream);
      const std::vector<float> plain = results(options);
      options.recompute = Recompute::on;
      options.recomputed = plan_memory(options, 0, 0).recomputed;
      REQUIRE(options.recomputed.size() >= 3);
      CHECK(results(options) == plain);
    }
}

TEST_CASE("values are computed again exactly when the batch would not fit otherwise", "[recompute][memory]") {
  StepOptions options = lite(64);
  options.recompute = Recompute::off;
  const MemoryPlan plain = plan_memory(options, 0, 0);
  CHECK(plain.recomputed.empty());
  CHECK(plain.more_flops() == 0);
  options.recompute = Recompute::on;
  const MemoryPlan least = plan_memory(options, 0, 0);
  const auto arena = [](const MemoryPlan& plan) { return plan.activations + plan.workspace; };
  CHECK(double(arena(least)) < 0.75 * double(arena(plain)));
  CHECK(least.more_flops() > 0);
  CHECK(least.more_flops() <= 1.0 / 3);
  const size_t saved = arena(plain) - arena(least);

  // What the process holds changes from plan to plan, by less than an eighth of what can be saved here.
  options.recompute = Recompute::automatic;
  CHECK(plan_memory(options, 0, 0, plain.device() + saved / 8).recomputed.empty());
  double flops = 0;
  for (const size_t less : {saved / 4, saved / 2, saved - saved / 8}) {
    const size_t limit = plain.device() - less;
    const MemoryPlan plan = plan_memory(options, 0, 0, limit);
    CAPTURE(less, plan.recomputed.size());
    CHECK_FALSE(plan.recomputed.empty());
    CHECK(plan.device() <= limit + saved / 8);
    CHECK(plan.more_flops() <= least.more_flops());
    CHECK(plan.flops >= flops);
    flops = plan.flops;

    // The step itself needs what the plan says.
    StepOptions chosen = options;
    chosen.recomputed = plan.recomputed;
    const TrainingStep step(chosen, declare_parameters(options.arch, options.people), nullptr, true);
    CHECK(step.flops() == plan.flops);
  }

  // The largest batches, with and without. The first search compiles kernels, which this process holds from then on.
  options.recompute = Recompute::off;
  largest_batch(options, 0, 0, plain.device());
  const size_t budget = plan_memory(options, 0, 0).device();
  const int without = largest_batch(options, 0, 0, budget);
  options.recompute = Recompute::automatic;
  const int with = largest_batch(options, 0, 0, budget);
  CAPTURE(with, without);
  CHECK(without >= 48);
  CHECK(with >= without + without / 4);
  options.batch = with - with / 10;
  const MemoryPlan near = plan_memory(options, 0, 0, budget);
  CHECK(near.device() <= budget);
  CHECK_FALSE(near.recomputed.empty());
}

TEST_CASE("a run may compute values again without leaving its path", "[recompute][trainer]") {
  std::vector<uint8_t> pixels(size_t(kFaces) * kFaceSize * kFaceSize * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(128 + 100 * std::sin(double(i) * 0.01));
  const std::vector<PersonFaces> people = {{"a", kFaces, pixels.data()}, {"b", kFaces, pixels.data()}};
  ModelDescription model;
  model.architecture = "lite";
  model.people = {"a", "b"};
  model.face_size = kFaceSize;
  model.batch = 2;
  model.lr = 1e-3f;
  model.seed = 5;
  model.precision = "fp32";
  StepOptions options = step_options(model);
  options.recompute = Recompute::on;
  const std::vector<ValueId> recomputed = plan_memory(options, 0, 0).recomputed;
  Trainer plain(model, people, {}), again(model, people, {}, Device::cpu, {recomputed, {}});
  CHECK(again.training_step().program().arena_bytes() < plain.training_step().program().arena_bytes());
  for (int i = 0; i < 2; ++i) {
    plain.step();
    again.step();
  }
  const size_t floats = plain.store().weights.bytes() / sizeof(float);
  const auto weights = [&](const Trainer& t) {
    return std::vector<float>(t.store().weights.as<float>(), t.store().weights.as<float>() + floats);
  };
  CHECK(weights(plain) == weights(again));
}
