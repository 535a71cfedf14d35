#include "nn/self_check.h"

#include <cmath>
#include <cstdio>
#include <vector>

#include "nn/step_driver.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/relative_distance.h"

namespace doppel {
namespace {

constexpr int kFaceSize = 64, kPeople = 2, kSteps = 2;
constexpr uint32_t kFaces = 2;

// Waves in colours, another frequency for each person: any picture with a slope everywhere does.
std::vector<uint8_t> waves(int person) {
  std::vector<uint8_t> pixels(size_t(kFaces) * kFaceSize * kFaceSize * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(128 + 100 * std::sin(double(i) * (0.01 + person)));
  return pixels;
}

struct Outcome {
  std::vector<float> losses;        // of each step and person: total, L1, MSE, DSSIM
  std::vector<float> gradients, m;  // of the first step
};

std::vector<float> numbers(const Buffer& buffer, Stream stream) {
  const HostCopy host(buffer, stream);
  return {host.as<float>(), host.as<float>() + buffer.bytes() / sizeof(float)};
}

Outcome run(Device device, DType precision) {
  const DeviceStream stream(device);
  StepOptions options;
  options.arch = architecture("tiny");
  options.arch.warp.face_size = kFaceSize;
  options.people = {"a", "b"};
  options.batch = 1;
  options.precision = precision;
  options.stream = stream;
  std::vector<Buffer> faces;
  WarpFaces sets{};
  for (int p = 0; p < kPeople; ++p) {
    const std::vector<uint8_t> pixels = waves(p);
    faces.emplace_back(pixels.size(), stream);
    upload(faces.back().data(), pixels.data(), pixels.size(), stream);
    sets.pixels[p] = faces.back().as<uint8_t>();
    sets.faces[p] = kFaces;
  }
  const auto layout = declare_parameters(options.arch, options.people);
  ParameterStore store = make_store(layout, precision, true, stream);
  initialize(store, 1);
  TrainingStep step(options, layout, &sets);
  StepDriver driver(step, store, kPeople, stream);
  driver.set_state({1, 0, 0, 0});
  Outcome outcome;
  for (int i = 0; i < kSteps; ++i) {
    driver.start(options.arch.lr, false);
    for (const TrainingStep::Loss& loss : driver.take_losses())
      for (const float part : {loss.total, loss.l1, loss.mse, loss.dssim}) outcome.losses.push_back(part);
    // The second step starts from weights that Adam has moved by the learning rate whatever the size of a gradient, so
    // that gradients of next to nothing count there as much as the others.
    if (i > 0) continue;
    outcome.gradients = numbers(store.gradients, stream);
    outcome.m = numbers(store.m, stream);
  }
  return outcome;
}

std::string compare(const Outcome& device, const Outcome& cpu, DType precision) {
  const StepBound bound = step_bound(precision);
  char text[160];
  const auto differ = [&](const char* what, double by, double allowed) {
    std::snprintf(text, sizeof text, "in %s its %s differ by %.2g of themselves from the processor's (%.2g is allowed)",
                  name_of(precision), what, by, allowed);
    return std::string(text);
  };
  const double loss = relative_distance(device.losses, cpu.losses);
  if (!(loss <= bound.loss)) return differ("losses", loss, bound.loss);
  const double gradient = relative_distance(device.gradients, cpu.gradients);
  if (!(gradient <= bound.gradient)) return differ("gradients", gradient, bound.gradient);
  const double m = relative_distance(device.m, cpu.m);
  if (!(m <= bound.gradient)) return differ("moments", m, bound.gradient);
  return "";
}

}  // namespace

StepBound step_bound(DType precision) {
  return precision == DType::f32 ? StepBound{1e-4, 1e-3} : StepBound{1e-2, 5e-2};
}

std::string self_check(Device device) {
  for (const DType precision : {DType::f32, DType::bf16}) {
    const Outcome cpu = run(Device::cpu, precision);
    Outcome there;
    try {
      there = run(device, precision);
    } catch (const OutOfMemory&) {  // says nothing of its arithmetic
      throw;
    } catch (const std::exception& e) {  // of whatever other kind: this device is not to be trusted
      return e.what();
    }
    const std::string problem = compare(there, cpu, precision);
    if (!problem.empty()) return problem;
  }
  return "";
}

}  // namespace doppel
