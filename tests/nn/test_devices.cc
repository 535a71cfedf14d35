// The same training step on the CPU and through the CUDA kernels: run by the emulator, whose memory the host cannot
// touch here, and by a card where there is one.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "nn/step_driver.h"
#include "runtime/devices.h"

using namespace doppel;

namespace {

constexpr int kFaceSize = 64;
constexpr uint32_t kFaces = 3;

// `lite`, so narrow that emulated threads get through it; each width a multiple of 8, as the tensor cores want it.
Architecture tiny() {
  Architecture a = architecture("lite");
  a.size = 32;
  a.down = {{16, 5}, {16, 3}, {24, 3}};
  a.code = 32;
  a.latent_size = 4;
  a.latent_filters = 16;
  a.shared = {{16}};
  a.up = {{16}, {8}};
  a.warp.face_size = kFaceSize;
  a.adam.clip_norm = 1;
  return a;
}

std::vector<uint8_t> make_faces(uint32_t person) {
  std::vector<uint8_t> pixels(size_t(kFaces) * kFaceSize * kFaceSize * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(128 + 100 * std::sin(double(i) * (0.01 + person)));
  return pixels;
}

struct Steps {
  std::vector<float> losses, gradients, weights;  // losses of every step, gradients of the first, weights of the last
};

Steps train(Device device, DType precision, int steps, bool checked = true) {
  StepOptions options;
  options.arch = tiny();
  options.people = {"a", "b"};
  options.batch = 2;
  options.precision = precision;
  const DeviceStream stream(device);
  options.stream = stream;

  const testing::Guard guard;
  std::vector<Buffer> faces;
  WarpFaces sets{};
  for (uint32_t p = 0; p < 2; ++p) {
    const std::vector<uint8_t> pixels = make_faces(p);
    faces.emplace_back(pixels.size(), device);
    upload(faces[p].data(), pixels.data(), pixels.size(), stream);
    sets.pixels[p] = faces[p].as<uint8_t>();
    sets.faces[p] = kFaces;
  }
  const auto layout = declare_parameters(options.arch, options.people);
  ParameterStore store = make_store(layout, precision, true, stream);
  initialize(store, 4);
  TrainingStep step(options, layout, &sets);
  StepDriver driver(step, store, 2, stream);
  driver.set_state({9, 0, 0, 0});

  Steps result;
  const auto copy = [&](const Buffer& b) {
    const HostCopy host(b, stream);
    return std::vector<float>(host.as<float>(), host.as<float>() + layout->elements);
  };
  for (int i = 0; i < steps; ++i) {
    driver.start(1e-3f, checked);
    for (const TrainingStep::Loss& loss : driver.take_losses()) result.losses.push_back(loss.total);
    if (i == 0) result.gradients = copy(store.gradients);
  }
  result.weights = copy(store.weights);
  return result;
}

// |a - b| / |b|
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
    norm += double(b[i]) * double(b[i]);
  }
  return std::sqrt(difference / norm);
}

}  // namespace

TEST_CASE("a training step through the CUDA kernels is the CPU's", "[emulator]") {
  for (const DType precision : {DType::f32, DType::bf16}) {
    INFO(name_of(precision));
    const Steps cpu = train(Device::cpu, precision, 2);
    // In fp32 the sums differ in their order alone. In bf16 each layer rounds what it gets, and a value on the edge of
    // a rounding falls to either side; of all values few do.
    const double loss_bound = precision == DType::f32 ? 5e-6 : 1e-3,
                 gradient_bound = precision == DType::f32 ? 1e-5 : 1e-2;
    for (const Device device : testing::devices()) {
      if (device == Device::cpu) continue;
      INFO(testing::name_of(device));
      const Steps steps = train(device, precision, 2);
      REQUIRE(cpu.losses.size() == steps.losses.size());
      for (size_t i = 0; i < cpu.losses.size(); ++i)
        CHECK(std::abs(steps.losses[i] - cpu.losses[i]) <= loss_bound * cpu.losses[i]);
      CHECK(distance(steps.gradients, cpu.gradients) <= gradient_bound);

      // A second run, not node by node.
      const Steps again = train(device, precision, 2, false);
      CHECK(std::memcmp(steps.weights.data(), again.weights.data(), 4 * again.weights.size()) == 0);
      CHECK(steps.losses == again.losses);
    }
  }
}
