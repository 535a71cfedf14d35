// Training runs: learning, stopping and going on bit for bit.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "nn/runs.h"
#include "nn/swapper.h"
#include "nn/trainer.h"
#include "runtime/atomic_file.h"
#include "runtime/devices.h"
#include "runtime/error.h"

using namespace doppel;
using testing::Folder;
using testing::kFaces;
using testing::kFaceSize;
using testing::lite;
using testing::Run;
using testing::weights_file;

namespace {

bool equal(const Buffer& a, const Buffer& b) {
  return a.bytes() == b.bytes() && (a.bytes() == 0 || std::memcmp(a.data(), b.data(), a.bytes()) == 0);
}

// The same of an fp32 arena's tensors: AdaBelief's v grows in the gaps between them too, which no checkpoint keeps.
bool equal_tensors(const ParameterLayout& layout, const Buffer& a, const Buffer& b) {
  for (const Parameter& p : layout.parameters)
    if (std::memcmp(a.as<float>() + p.offset, b.as<float>() + p.offset, size_t(p.shape.elements()) * sizeof(float)))
      return false;
  return !layout.parameters.empty();
}

}  // namespace

TEST_CASE("a stopped run goes on as if it had never stopped, bit for bit", "[trainer]") {
  std::vector<ModelDescription> models{lite("fp32"), lite("bf16"), lite("fp32")};
  models[2].optimizer = "adabelief", models[2].lr_dropout = 0.3f, models[2].clip = 0.5f;
  for (const ModelDescription& model : models) {
    if (model.precision == "bf16" && !has_bf16()) continue;
    INFO(model.precision << ", " << model.optimizer);
    Run run;
    const TrainingEnd end{4, 0};
    Trainer whole = run.trainer(model, end);
    for (int i = 0; i < 4; ++i) whole.step();

    Folder folder;
    {
      Trainer first = run.trainer(model, end);
      for (int i = 0; i < 2; ++i) first.step();
      first.save(folder.path);
    }
    Trainer second = run.trainer(load_description(folder.path), end);
    second.resume(folder.path);
    REQUIRE(second.model().iterations == 2);
    CHECK(second.model().optimizer == model.optimizer);
    CHECK(second.model().lr_dropout == model.lr_dropout);
    CHECK(second.model().clip == model.clip);
    while (!second.finished()) second.step();

    REQUIRE(second.model().iterations == 4);
    CHECK(equal(whole.store().weights, second.store().weights));
    CHECK(equal(whole.store().m, second.store().m));
    CHECK(equal_tensors(*whole.store().layout, whole.store().v, second.store().v));
    CHECK(equal(whole.store().average, second.store().average));
    CHECK(equal(whole.store().copies, second.store().copies));
    for (size_t p = 0; p < 2; ++p) CHECK(whole.losses()[p].total == second.losses()[p].total);
  }
}

TEST_CASE("a face set that streams trains as one that is resident, also when the run stops between", "[trainer]") {
  Run run;
  const TrainingEnd end{4, 0};
  Trainer resident = run.trainer(lite("fp32"), end);
  while (!resident.finished()) resident.step();

  run.b_streams = true;
  Folder folder;
  {
    Trainer first = run.trainer(lite("fp32"), end);
    first.step();
    first.save(folder.path);
    first.step();  // is lost, as after a crash
  }
  Trainer second = run.trainer(load_description(folder.path), end);
  second.resume(folder.path);
  while (!second.finished()) second.step();
  CHECK(equal(resident.store().weights, second.store().weights));
  CHECK(equal(resident.store().m, second.store().m));
  CHECK(equal(resident.store().v, second.store().v));
  CHECK(equal(resident.store().average, second.store().average));
  for (size_t p = 0; p < 2; ++p) CHECK(resident.losses()[p].total == second.losses()[p].total);
}

TEST_CASE("how the weights are moved is the model's", "[trainer]") {
  const auto adam_of = [](const ModelDescription& m) { return step_options(m).arch.adam; };
  ModelDescription model = lite("fp32");
  const AdamOptions plain = adam_of(model), own = architecture("lite").adam;
  CHECK_FALSE(plain.belief);
  CHECK(plain.eps == own.eps);
  CHECK(plain.moved == 1);
  CHECK(plain.clip_norm == 0);

  // Every option changes the weights of a step, and each in its own way.
  Run run;
  const auto weights_after = [&](const ModelDescription& m, int steps) {
    Trainer trainer = run.trainer(m);
    for (int i = 0; i < steps; ++i) trainer.step();
    const auto* w = trainer.store().weights.as<float>();
    return std::vector<float>(w, w + trainer.store().weights.bytes() / sizeof(float));
  };
  const std::vector<float> start = weights_after(model, 0), after = weights_after(model, 2);
  model.optimizer = "adabelief";
  CHECK(adam_of(model).belief);
  CHECK(adam_of(model).eps < own.eps);
  const std::vector<float> belief = weights_after(model, 2);
  CHECK(belief != after);
  model = lite("fp32");
  model.clip = 1e-6f;  // beside it Adam's eps is no longer small: the steps become short
  const std::vector<float> clipped = weights_after(model, 1), free = weights_after(lite("fp32"), 1);
  const auto moved = [&](const std::vector<float>& w) {
    double sum = 0;
    for (size_t i = 0; i < w.size(); ++i) sum += std::abs(double(w[i]) - double(start[i]));
    return sum;
  };
  CHECK(moved(clipped) < 0.5 * moved(free));
  model = lite("fp32");
  model.lr_dropout = 0.75f;
  const double part = moved(weights_after(model, 1)) / moved(free);
  CHECK(part > 0.24);
  CHECK(part < 0.26);
}

TEST_CASE("a training run moves from device to device", "[trainer][emulator]") {
  const testing::Guard guard;
  Run run;
  ModelDescription model = lite("fp32");
  model.batch = 1;
  const TrainingEnd end{3, 0};
  Trainer whole = run.trainer(model, end);
  while (!whole.finished()) whole.step();

  for (const Device device : testing::devices()) {
    if (device == Device::cpu) continue;
    INFO(testing::name_of(device));
    Folder folder;
    Trainer first = run.trainer(model, end);
    first.step();
    first.save(folder.path);
    {
      Trainer second = run.trainer(load_description(folder.path), end, device);
      second.resume(folder.path);
      // The same weights give the same picture: previews are the CPU's.
      const Image before = first.preview(), there = second.preview();
      CHECK(std::memcmp(before.data(), there.data(), before.size_bytes()) == 0);
      second.step();
      second.save(folder.path);
      CHECK(second.losses().size() == 2);
    }
    Trainer third = run.trainer(load_description(folder.path), end);
    third.resume(folder.path);
    REQUIRE(third.model().iterations == 2);
    while (!third.finished()) third.step();
    for (size_t p = 0; p < 2; ++p) {
      CHECK(third.losses()[p].total == Approx(whole.losses()[p].total).epsilon(1e-3));
      CHECK(third.smooth_losses()[p] == Approx(whole.smooth_losses()[p]).epsilon(1e-3));
    }
  }
}

TEST_CASE("a run allocates nothing on its device after the first step", "[trainer][emulator]") {
  Run run;
  ModelDescription model = lite("fp32");
  model.architecture = "tiny";
  for (const Device device : testing::devices()) {
    if (device == Device::cpu) continue;
    INFO(testing::name_of(device));
    Folder folder;
    const uint64_t before = device_allocations();
    Trainer trainer = run.trainer(model, {}, device);
    trainer.step();
    const uint64_t made = device_allocations();
    CHECK(made > before);
    for (int i = 0; i < 3; ++i) trainer.step();
    trainer.save(folder.path);
    trainer.preview();
    trainer.step();
    CHECK(device_allocations() == made);
  }
}

TEST_CASE("training learns, and a swapper runs what was saved", "[trainer]") {
  Run run;
  Trainer trainer = run.trainer(lite("fp32"));
  trainer.step(true);
  const float before = trainer.losses()[0].l1 + trainer.losses()[1].l1;
  for (int i = 0; i < 60; ++i) trainer.step();
  CHECK(trainer.losses()[0].l1 + trainer.losses()[1].l1 < 0.8f * before);
  const Image preview = trainer.preview();
  CHECK(preview.height() == Trainer::kPreviewRows * 64);

  Folder folder;
  trainer.save(folder.path);
  Swapper swapper(folder.path, 3);
  REQUIRE(swapper.people() == std::vector<std::string>{"a", "b"});
  REQUIRE(swapper.coverage() == Approx(2 * 0.625));
  const size_t pixels = 64 * 64 * 3;
  std::vector<float> in(3 * pixels, 0.5f), one(pixels), three(3 * pixels);
  for (size_t i = 0; i < in.size(); ++i) in[i] = float(i % 97) / 97;
  swapper.run(in.data(), 1, 1, one.data());
  swapper.run(in.data(), 3, 1, three.data());
  // A face's swap does not depend on what shares its batch.
  for (size_t i = 0; i < pixels; ++i) REQUIRE(one[i] == three[i]);
  for (float v : three) {
    const bool in_range = v >= 0 && v <= 1;
    REQUIRE(in_range);
  }
}

TEST_CASE("iterations without a finite gradient change nothing, and too many end training", "[trainer]") {
  Run run;
  for (const Device device : {Device::cpu, Device::emulator}) {
    INFO((device == Device::cpu ? "cpu" : "emulator"));
    ModelDescription model = lite("fp32");
    model.architecture = "tiny";  // the emulator's iterations take their time
    Trainer trainer = run.trainer(model, {}, device);
    const ParameterStore& store = trainer.store();
    trainer.step();
    const float good = store.weights.as<float>()[0];
    const auto same = [](const Buffer& a, const std::vector<float>& b) {
      return std::memcmp(a.data(), b.data(), a.bytes()) == 0;
    };
    const auto copy_of = [](const Buffer& b) {
      return std::vector<float>(b.as<float>(), b.as<float>() + b.bytes() / sizeof(float));
    };
    // The first bias or weight of the encoder is in everything that follows.
    store.weights.as<float>()[0] = NAN;
    const std::vector<float> w = copy_of(store.weights), m = copy_of(store.m), v = copy_of(store.v),
                             average = copy_of(store.average);
    // Two on the emulator, as many as may be on the CPU.
    const int bad = device == Device::cpu ? Trainer::kMostLeftOut - 1 : 2;
    for (int i = 0; i < bad; ++i) trainer.step();
    CHECK(trainer.left_out() == uint64_t(bad));
    CHECK(trainer.model().iterations == uint64_t(1 + bad));
    CHECK(same(store.weights, w));
    CHECK(same(store.m, m));
    CHECK(same(store.v, v));
    CHECK(same(store.average, average));
    for (const TrainingStep::Loss& loss : trainer.losses()) CHECK(std::isfinite(loss.total));

    // Back to what it was: training goes on, and only iterations in a row count.
    store.weights.as<float>()[0] = good;
    trainer.step();
    CHECK(trainer.left_out() == uint64_t(bad));
    CHECK_FALSE(same(store.m, m));
    if (device != Device::cpu) continue;
    Folder folder;
    trainer.save(folder.path);
    const std::string before = read_file(weights_file(folder.path));
    store.weights.as<float>()[0] = NAN;
    for (int i = 0; i < bad; ++i) trainer.step();
    CHECK_THROWS_WITH(trainer.step(), Catch::Contains("not been finite for 20 iterations in a row") &&
                                          Catch::Contains("the last checkpoint stands"));
    CHECK(read_file(weights_file(folder.path)) == before);
  }
}
