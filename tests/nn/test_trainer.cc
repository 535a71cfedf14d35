// Training runs: learning, stopping and going on bit for bit, checkpoints that survive damage by being refused.
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <regex>

#include "kernels/philox.h"
#include "nn/swapper.h"
#include "nn/trainer.h"
#include "runtime/atomic_file.h"
#include "runtime/devices.h"
#include "runtime/error.h"

using namespace doppel;
namespace fs = std::filesystem;

namespace {

struct Folder {
  std::string path;
  Folder() {
    static int count = 0;
    path = (fs::temp_directory_path() / ("doppel-nn-" + std::to_string(getpid()) + "-" + std::to_string(count++)))
               .string();
    fs::remove_all(path);
  }
  ~Folder() { fs::remove_all(path); }
};

constexpr int kFaceSize = 64;
constexpr uint32_t kFaces = 8;

// Smooth blobs in a colour of the person's own.
std::vector<uint8_t> make_faces(uint32_t person) {
  std::vector<uint8_t> pixels(size_t(kFaces) * kFaceSize * kFaceSize * 3);
  for (uint32_t f = 0; f < kFaces; ++f) {
    Random random(11, person, f);
    const float cx = random.uniform(20, 44), cy = random.uniform(20, 44);
    for (int y = 0; y < kFaceSize; ++y)
      for (int x = 0; x < kFaceSize; ++x)
        for (int c = 0; c < 3; ++c) {
          const float d = ((x - cx) * (x - cx) + (y - cy) * (y - cy)) / 200;
          pixels[((size_t(f) * kFaceSize + y) * kFaceSize + x) * 3 + c] =
              uint8_t(40 + 60 * (c == int(person)) + 120 * std::exp(-d));
        }
  }
  return pixels;
}

struct Run {
  std::vector<uint8_t> a = make_faces(0), b = make_faces(1);
  bool a_streams = false, b_streams = false;

  Trainer trainer(ModelDescription model, TrainingEnd end = {}, Device device = Device::cpu) {
    return Trainer(std::move(model), {{"a", kFaces, a.data(), a_streams}, {"b", kFaces, b.data(), b_streams}}, end,
                   device);
  }
};

ModelDescription lite(const std::string& precision) {
  ModelDescription m;
  m.architecture = "lite";
  m.people = {"a", "b"};
  m.face_size = kFaceSize;
  m.coverage = 2;
  m.batch = 2;
  m.lr = 1e-3f;
  m.seed = 5;
  m.precision = precision;
  return m;
}

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

// XORs one bit.
void flip(const std::string& path, size_t at) {
  std::string content = read_file(path);
  content[at % content.size()] = char(content[at % content.size()] ^ 4);
  write_file(path, content);
}

std::string weights_file(const std::string& folder) {
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") return entry.path().string();
  return "";
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

TEST_CASE("saving again replaces the checkpoint and leaves one weights file", "[checkpoint]") {
  Run run;
  Folder folder;
  Trainer trainer = run.trainer(lite("fp32"));
  trainer.save(folder.path);
  trainer.step();
  trainer.save(folder.path);
  REQUIRE(load_description(folder.path).iterations == 1);
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder.path)) files += entry.path().extension() == ".safetensors";
  REQUIRE(files == 1);
}

TEST_CASE("damaged, cut and foreign models are refused by name", "[checkpoint]") {
  Run run;
  Folder folder;
  Trainer trainer = run.trainer(lite("fp32"));
  trainer.save(folder.path);
  const std::string json = folder.path + "/model.json", weights = weights_file(folder.path);
  const std::string good = read_file(json);
  const auto load = [&] { Swapper swapper(folder.path, 1); };
  REQUIRE_NOTHROW(load());

  for (size_t at = 0; at < good.size(); at += 7) {
    flip(json, at);
    INFO("model.json, byte " << at);
    REQUIRE_THROWS_WITH(load(), Catch::Contains("model.json"));
    write_file(json, good);
  }
  const std::string data = read_file(weights);
  for (size_t at : {size_t(0), size_t(9), size_t(200), data.size() / 2, data.size() - 1}) {
    flip(weights, at);
    INFO("weights, byte " << at);
    REQUIRE_THROWS_WITH(load(), Catch::Contains(".safetensors"));
    write_file(weights, data);
  }
  write_file(weights, std::string_view(data).substr(0, data.size() / 2));
  REQUIRE_THROWS_WITH(load(), Catch::Contains(".safetensors") && Catch::Contains("bytes"));
  fs::remove(weights);
  REQUIRE_THROWS_WITH(load(), Catch::Contains(".safetensors"));
  write_file(weights, data);
  REQUIRE_NOTHROW(load());

  const std::string other = std::regex_replace(good, std::regex("\"version\": \\d+"), "\"version\": 999");
  REQUIRE(other != good);
  write_file(json, other);
  REQUIRE_THROWS_WITH(load(), Catch::Contains("another version"));
  const std::string older = std::regex_replace(good, std::regex("\"version\": \\d+"), "\"version\": 1");
  write_file(json, older);
  REQUIRE_THROWS_WITH(load(), Catch::Contains("another version"));
  write_file(json, "{\"format\": \"something else\"}");
  REQUIRE_THROWS_WITH(load(), Catch::Contains("not a doppel model"));
}

TEST_CASE("a model of version 2 was trained with Adam, every weight and no clipping", "[checkpoint]") {
  Run run;
  Folder folder;
  ModelDescription model = lite("fp32");
  model.optimizer = "adabelief", model.lr_dropout = 0.5f, model.clip = 2;
  run.trainer(model).save(folder.path);
  const std::string json = folder.path + "/model.json";
  std::string text = read_file(json);
  text = std::regex_replace(text, std::regex("\n *\"(optimizer|lr_dropout|clip)\": [^\n]*"), "");
  text = std::regex_replace(text, std::regex("\"version\": 3"), "\"version\": 2");
  text.resize(text.rfind(",\n \"crc32\": "));
  write_file(json, text + ",\n \"crc32\": " + std::to_string(crc32(text.data(), text.size())) + "\n}\n");
  const ModelDescription old = load_description(folder.path);
  CHECK(old.optimizer == "adam");
  CHECK(old.lr_dropout == 0);
  CHECK(old.clip == 0);
  CHECK(old.warp == model.warp);
}

TEST_CASE("the plan of a run is what it then uses", "[memory]") {
  const FaceSets sets{{400, 600}};
  StepOptions options = step_options(lite("fp32"));
  options.batch = 4;
  options.recompute = Recompute::off;
  const MemoryPlan plan = plan_memory(options, sets, 2);
  const auto layout = declare_parameters(options.arch, options.people);
  TrainingStep step(options, layout, nullptr);
  CHECK(plan.activations + plan.workspace == step.program().arena_bytes());
  CHECK(plan.activations > plan.workspace);
  CHECK(plan.faces.host == 1000);
  CHECK(plan.faces.device == 0);
  const ParameterStore store = make_store(layout, options.precision, true);
  CHECK(plan.parameters == store.weights.bytes());
  CHECK(plan.gradients == store.gradients.bytes());
  CHECK(plan.optimizer == store.m.bytes() + store.v.bytes());
  CHECK(plan.average == store.average.bytes());
  CHECK(plan.copies == store.copies.bytes());
  size_t sum = 0;
  for (const auto& [name, bytes] : plan.parts()) sum += bytes;
  CHECK(plan.total() == sum);

  // The batch that is said to fit does, and the next larger one does not.
  for (const size_t budget : {plan.total() + plan.activations / 4, plan.total() * 3}) {
    const int fits = largest_batch(options, sets, 2, budget);
    CAPTURE(budget, fits);
    REQUIRE(fits >= 4);
    // The search compiled kernels, which this process holds from now on: the step is what is compared.
    const auto total = [&](int batch) {
      options.batch = batch;
      const MemoryPlan whole = plan_memory(options, sets, 2);
      return whole.total() - whole.process;
    };
    constexpr size_t kKernels = size_t(48) << 20;  // all that this process may hold more by now
    CHECK(total(fits) + plan.process <= budget);
    CHECK(total(fits + 1) + plan.process + kKernels > budget);
    // A batch beyond the limit is judged by its values and a workspace foreseen from smaller batches.
    options.batch = 3000;
    const MemoryPlan quick = plan_memory(options, sets, 2, budget), whole = plan_memory(options, sets, 2);
    CHECK(quick.activations == whole.activations);
    CHECK(double(quick.workspace) == Approx(double(whole.workspace)).epsilon(0.02));
  }
  CHECK(largest_batch(options, sets, 2, plan.parameters) == 0);

  // Without a copy on a card the host has everything; the emulator's copies are the host's too.
  CHECK(plan.device() == plan.host());
  options.batch = 4;
  options.stream.device = Device::emulator;
  const MemoryPlan emulated = plan_memory(options, sets, 2);
  CHECK(emulated.faces.host == 1000);
  CHECK(emulated.faces.device == 1000);
  CHECK(emulated.preview == plan.preview + store.weights.bytes());
  CHECK(emulated.device() == emulated.host());
}

TEST_CASE("a plan in bf16 has working copies, and original keeps no average", "[memory]") {
  if (!has_bf16()) return;
  ModelDescription m = lite("bf16");
  m.architecture = "original";
  const MemoryPlan plan = plan_memory(step_options(m), {{0, 0}}, 0);
  CHECK(plan.copies == plan.parameters / 2);
  CHECK(plan.average == 0);
  CHECK(plan.preview == 0);
}

TEST_CASE("iterations without a finite gradient change nothing, and too many end training", "[trainer]") {
  Run run;
  for (const Device device : {Device::cpu, Device::emulator}) {
    INFO((device == Device::cpu ? "cpu" : "emulator"));
    Trainer trainer = run.trainer(lite("fp32"), {}, device);
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
    // On the emulator an iteration takes its time: two there, as many as may be on the CPU.
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
