// The same training step on the CPU and through the CUDA kernels: run by the emulator, whose memory the host cannot
// touch here, and by a card where there is one.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>

#include <unistd.h>

#include "nn/checkpoint.h"
#include "nn/face_stream.h"
#include "nn/self_check.h"
#include "nn/step_driver.h"
#include "runtime/devices.h"
#include "runtime/relative_distance.h"

using namespace doppel;

namespace {

constexpr int kFaceSize = 64;
constexpr uint32_t kFaces = 3;

Architecture tiny() {
  Architecture a = architecture("tiny");
  a.warp.face_size = kFaceSize;
  a.adam.clip_norm = 1;
  return a;
}

std::vector<uint8_t> make_faces(uint32_t person) {
  std::vector<uint8_t> pixels(size_t(kFaces) * kFaceSize * kFaceSize * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(128 + 100 * std::sin(double(i) * (0.01 + person)));
  return pixels;
}

// A run on one device. Of the two people's face sets `streaming` are the host's and stream.
struct Session {
  testing::Guard guard;
  DeviceStream stream;
  std::vector<std::vector<uint8_t>> decoded;  // [people]
  std::vector<Buffer> faces;
  std::unique_ptr<FaceStream> face_stream;
  WarpFaces sets{};
  ParameterStore store;
  std::unique_ptr<TrainingStep> step;
  std::unique_ptr<StepDriver> driver;
  uint64_t done = 0;

  Session(Device device, DType precision, uint32_t streaming = 0, const Tuning& tuning = {}) : stream(device) {
    StepOptions options;
    options.arch = tiny();
    options.people = {"a", "b"};
    options.batch = 2;
    options.precision = precision;
    options.stream = stream;
    options.tuning = tuning;
    std::vector<FaceStream::Set> of_host;
    for (uint32_t p = 0; p < 2; ++p) {
      const std::vector<uint8_t>& pixels = decoded.emplace_back(make_faces(p));
      if (p < streaming) {
        of_host.push_back({int(p), kFaces, pixels.data()});
        continue;
      }
      const Buffer& set = faces.emplace_back(pixels.size(), device);
      upload(set.data(), pixels.data(), pixels.size(), stream);
      sets.pixels[p] = set.as<uint8_t>();
      sets.faces[p] = kFaces;
    }
    if (streaming > 0) {
      Warp warp = options.arch.warp;
      warp.batch = options.batch;
      face_stream = std::make_unique<FaceStream>(of_host, warp, device);
      face_stream->place(sets);
    }
    const auto layout = declare_parameters(options.arch, options.people);
    store = make_store(layout, precision, true, stream);
    initialize(store, 4);
    step = std::make_unique<TrainingStep>(options, layout, &sets);
    driver = std::make_unique<StepDriver>(*step, store, 2, stream);
    driver->set_state({9, 0, 0, 0});
  }

  // One step; its losses.
  std::vector<float> run(bool checked = false) {
    if (face_stream) face_stream->stage(9, done, stream);
    driver->start(1e-3f, checked);
    ++done;
    std::vector<float> losses;
    for (const TrainingStep::Loss& loss : driver->take_losses()) losses.push_back(loss.total);
    return losses;
  }

  void save(const std::string& folder) const {
    ModelDescription model;
    model.iterations = done;
    save_model(folder, model, saved_state(store));
  }
  void load(const std::string& folder) {
    done = load_description(folder).iterations;
    load_parameters(folder, store, true);
    driver->set_state({9, done, 0, 0});
  }

  std::vector<uint8_t> bytes(const Buffer& buffer) const {
    const HostCopy host(buffer, stream);
    return {host.as<uint8_t>(), host.as<uint8_t>() + buffer.bytes()};
  }
  std::vector<float> numbers(const Buffer& buffer) const {
    const HostCopy host(buffer, stream);
    return {host.as<float>(), host.as<float>() + buffer.bytes() / sizeof(float)};
  }
  // All that a checkpoint is to keep, and the bf16 copy.
  std::vector<std::vector<uint8_t>> all() const {
    return {bytes(store.weights), bytes(store.m), bytes(store.v), bytes(store.average), bytes(store.copies)};
  }
};

struct Steps {
  std::vector<float> losses, gradients, weights;  // losses of every step, gradients of the first, weights of the last
};

Steps train(Device device, DType precision, int steps, bool checked = true, const Tuning& tuning = {}) {
  Session session(device, precision, 0, tuning);
  Steps result;
  for (int i = 0; i < steps; ++i) {
    for (const float loss : session.run(checked)) result.losses.push_back(loss);
    if (i == 0) result.gradients = session.numbers(session.store.gradients);
  }
  result.weights = session.numbers(session.store.weights);
  return result;
}

// In fp32 the emulator's sums differ in their order alone. In bf16 each layer rounds what it gets, and a value on the
// edge of a rounding falls to either side; of all values few do. A card's exp and cos have last bits of their own,
// which is worth more: the bounds of the check that it goes through before it is trained on (nn/self_check.h).
StepBound bound_of(Device device, DType precision) {
  if (device == Device::cuda) return step_bound(precision);
  return precision == DType::f32 ? StepBound{5e-6, 1e-5, 1e-5} : StepBound{1e-3, 1e-2, 1e-2};
}

}  // namespace

TEST_CASE("a training step through the CUDA kernels is the CPU's", "[emulator]") {
  // A card records the second step as a graph, begins it as one, and replays it from the third on.
  constexpr int kSteps = 4, kCompared = 2;
  for (const DType precision : {DType::f32, DType::bf16}) {
    INFO(name_of(precision));
    const Steps cpu = train(Device::cpu, precision, kCompared);
    for (const Device device : testing::devices()) {
      if (device == Device::cpu) continue;
      INFO(testing::name_of(device));
      const StepBound bound = bound_of(device, precision);
      const Steps steps = train(device, precision, kSteps);
      REQUIRE(steps.losses.size() * kCompared == cpu.losses.size() * kSteps);
      for (size_t i = 0; i < cpu.losses.size(); ++i)
        CHECK(std::abs(steps.losses[i] - cpu.losses[i]) <= bound.loss * cpu.losses[i]);
      CHECK(relative_distance(steps.gradients, cpu.gradients) <= bound.gradient);

      // A second run, not node by node.
      const Steps again = train(device, precision, kSteps, false);
      CHECK(std::memcmp(steps.weights.data(), again.weights.data(), 4 * again.weights.size()) == 0);
      CHECK(steps.losses == again.losses);
    }
  }
}

TEST_CASE("a step reads nothing that it has not written", "[emulator]") {
  for (const Device device : testing::devices()) {
    INFO(testing::name_of(device));
    const Steps clean = train(device, DType::bf16, 2, false);
    setenv("DOPPEL_DIRTY_MEMORY", "1", 1);
    const Steps dirty = train(device, DType::bf16, 2, false);
    unsetenv("DOPPEL_DIRTY_MEMORY");
    CHECK(dirty.losses == clean.losses);
    CHECK(dirty.gradients == clean.gradients);
    CHECK(dirty.weights == clean.weights);
  }
}

TEST_CASE("a face set that streams equals one that is resident", "[emulator]") {
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("doppel-streams-" + std::to_string(getpid()))).string();
  for (const Device device : testing::devices()) {
    INFO(testing::name_of(device));
    std::filesystem::remove_all(folder);
    Session resident(device, DType::f32), one(device, DType::f32, 1);
    for (int i = 0; i < 3; ++i) {
      CHECK(one.run() == resident.run());
      if (i == 0) one.save(folder);
    }
    CHECK(one.all() == resident.all());

    // Both stream, from an odd step on.
    Session later(device, DType::f32, 2);
    later.load(folder);
    while (later.done < resident.done) later.run();
    CHECK(later.all() == resident.all());
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("steps that are begun one after the other find their own faces", "[emulator]") {
  for (const Device device : testing::devices()) {
    if (device == Device::emulator) continue;  // where a step is done when it has been begun: slow, and shows nothing
    INFO(testing::name_of(device));
    const uint64_t steps = device == Device::cuda ? StepDriver::kLag : 5;  // on the CPU each is done when it has begun
    const auto losses = [&](uint32_t streaming) {
      Session session(device, DType::f32, streaming);
      for (; session.done < steps; ++session.done) {
        if (session.face_stream) session.face_stream->stage(9, session.done, session.stream);
        session.driver->start(1e-3f, false);
      }
      std::vector<float> all;
      while (session.driver->pending() > 0)
        for (const TrainingStep::Loss& loss : session.driver->take_losses()) all.push_back(loss.total);
      return all;
    };
    CHECK(losses(2) == losses(0));
  }
}

TEST_CASE("a training step by chosen kernels learns the same", "[emulator][tuner]") {
  const std::string file =
      (std::filesystem::temp_directory_path() / ("doppel-step-" + std::to_string(getpid()) + ".json")).string();
  std::filesystem::remove(file);
  Tuning tuning;
  tuning.candidates = Candidates::handwritten;
  tuning.cache = file;
  // As if the last of the list were the fastest: another tile and other parts than the model's.
  tuning.seconds = [](const Operator& op) {
    return op.choice() == op.choices(Stream{Device::emulator}).back() ? 1e-6 : 1e-3;
  };
  for (const DType precision : {DType::f32, DType::bf16}) {
    INFO(name_of(precision));
    const Steps model = train(Device::emulator, precision, 1, false);
    const Steps chosen = train(Device::emulator, precision, 1, false, tuning);
    const StepBound bound = bound_of(Device::emulator, precision);
    REQUIRE(model.losses.size() == chosen.losses.size());
    for (size_t i = 0; i < model.losses.size(); ++i)
      CHECK(std::abs(chosen.losses[i] - model.losses[i]) <= bound.loss * model.losses[i]);
    CHECK(relative_distance(chosen.gradients, model.gradients) <= bound.gradient);
    // Other kernels ran: some sum was taken in another order.
    CHECK(chosen.gradients != model.gradients);

    // From the file alone, bit for bit.
    Tuning cached = tuning;
    cached.seconds = [](const Operator&) -> double { throw std::logic_error("is timed again"); };
    const Steps again = train(Device::emulator, precision, 1, false, cached);
    CHECK(again.losses == chosen.losses);
    CHECK(again.weights == chosen.weights);
  }
  std::filesystem::remove(file);
}

TEST_CASE("a run goes on on another device and back", "[emulator]") {
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("doppel-devices-" + std::to_string(getpid()))).string();
  for (const Device device : testing::devices()) {
    if (device == Device::cpu) continue;
    INFO(testing::name_of(device));
    std::filesystem::remove_all(folder);
    Session whole(Device::cpu, DType::f32);
    std::vector<float> losses;
    for (int i = 0; i < 3; ++i) losses = whole.run();

    Session first(Device::cpu, DType::f32);
    first.run();
    first.save(folder);
    Session second(device, DType::f32);
    second.load(folder);
    CHECK(second.all() == first.all());
    second.run();
    second.save(folder);
    Session third(Device::cpu, DType::f32);
    third.load(folder);
    CHECK(third.all() == second.all());
    const std::vector<float> end = third.run();

    // One step of three was made with sums in another order: where a gradient is next to nothing, Adam makes a step of
    // the learning rate of what differs.
    CHECK(third.done == 3);
    for (size_t p = 0; p < losses.size(); ++p) CHECK(std::abs(end[p] - losses[p]) <= 1e-4 * losses[p]);
    CHECK(relative_distance(third.numbers(third.store.weights), whole.numbers(whole.store.weights)) < 1e-3);

    // Into bf16, whose copy the device rounds.
    Session rounded(Device::cpu, DType::bf16), there(device, DType::bf16);
    rounded.load(folder);
    there.load(folder);
    CHECK(there.all() == rounded.all());
  }
  std::filesystem::remove_all(folder);
}
