#include "nn/self_check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "kernels/device_error.h"
#include "nn/step_driver.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/relative_distance.h"

namespace doppel {
namespace {

// Small against the gradients' norm here, so that they are clipped.
constexpr float kClipNorm = 1e-2f;
constexpr int kFaceSize = 64, kPeople = 2, kSteps = 2;
constexpr uint32_t kFaces = 2;
constexpr uint64_t kSeed = 1;
// What Adam may make of equal gradients on two devices: fp32 rounds each of its dozen operations by at most 6e-8.
constexpr double kAdamBound = 2e-6;

// Waves in colours, another frequency for each person: any picture with a slope everywhere does.
std::vector<uint8_t> waves(int person) {
  std::vector<uint8_t> pixels(size_t(kFaces) * kFaceSize * kFaceSize * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(128 + 100 * std::sin(double(i) * (0.01 + person)));
  return pixels;
}

StepOptions options_of(DType precision, Stream stream) {
  StepOptions options;
  options.arch = architecture("tiny");
  options.arch.warp.face_size = kFaceSize;
  options.arch.adam.clip_norm = kClipNorm;
  options.people = {"a", "b"};
  options.batch = 1;
  options.precision = precision;
  options.stream = stream;
  return options;
}

// What a step leaves in the parameters' arenas.
struct Numbers {
  std::vector<float> weights, m, v, average;
  std::vector<Bf16> copies;  // none in fp32
};

struct Step {
  std::vector<float> losses;  // of each person: total, L1, MSE, DSSIM
  std::vector<float> gradients;
  Numbers after;
  uint64_t count;  // of steps, as the device has it
};

struct Outcome {
  Numbers start;
  std::vector<Step> steps;
};

template <typename T>
std::vector<T> numbers(const Buffer& buffer, Stream stream) {
  if (buffer.bytes() == 0) return {};
  const HostCopy host(buffer, stream);
  return {host.as<T>(), host.as<T>() + buffer.bytes() / sizeof(T)};
}

Numbers numbers(const ParameterStore& store) {
  const Stream s = store.stream;
  return {numbers<float>(store.weights, s), numbers<float>(store.m, s), numbers<float>(store.v, s),
          numbers<float>(store.average, s), numbers<Bf16>(store.copies, s)};
}

template <typename T>
void set(const Buffer& buffer, const std::vector<T>& to, Stream stream) {
  upload(buffer.data(), to.data(), buffer.bytes(), stream);
}

void set(const ParameterStore& store, const Numbers& to) {
  set(store.weights, to.weights, store.stream);
  set(store.m, to.m, store.stream);
  set(store.v, to.v, store.stream);
  set(store.average, to.average, store.stream);
  set(store.copies, to.copies, store.stream);
}

// NaNs wherever a step writes before it reads, so that a kernel that does not run cannot pass by what an earlier one,
// or nobody, has left. Between the parameters zeros stay: the optimiser sweeps these too.
void spoil(Program& program, const ParameterStore& store) {
  program.spoil();
  std::vector<float> gradients(store.layout->elements, 0.f);
  for (const Parameter& p : store.layout->parameters)
    std::fill_n(gradients.begin() + std::ptrdiff_t(p.offset), p.shape.elements(),
                std::numeric_limits<float>::quiet_NaN());
  set(store.gradients, gradients, store.stream);
}

// The steps on `device`. With `cpu` each begins from the numbers with which that one's began, so that differences
// within the bounds do not add up.
Outcome run(Device device, DType precision, const std::shared_ptr<ParameterLayout>& layout, const Outcome* cpu) {
  const DeviceStream stream(device);
  const StepOptions options = options_of(precision, stream);
  std::vector<Buffer> faces;
  WarpFaces sets{};
  for (int p = 0; p < kPeople; ++p) {
    const std::vector<uint8_t> pixels = waves(p);
    faces.emplace_back(pixels.size(), stream);
    set(faces.back(), pixels, stream);
    sets.pixels[p] = faces.back().as<uint8_t>();
    sets.faces[p] = kFaces;
  }
  ParameterStore store = make_store(layout, precision, true, stream);
  initialize(store, kSeed);
  TrainingStep step(options, layout, &sets);
  StepDriver driver(step, store, kPeople, stream);
  driver.set_state({kSeed, 0, 0, 0});
  Outcome outcome{numbers(store), {}};
  // On a card the second step is the recorded graph.
  for (int i = 0; i < kSteps; ++i) {
    if (cpu && i > 0) set(store, cpu->steps[size_t(i) - 1].after);
    spoil(step.program(), store);
    driver.start(options.arch.lr, false);
    Step& made = outcome.steps.emplace_back();
    for (const TrainingStep::Loss& loss : driver.take_losses())
      for (const float part : {loss.total, loss.l1, loss.mse, loss.dssim}) made.losses.push_back(part);
    made.gradients = numbers<float>(store.gradients, stream);
    made.after = numbers(store);
    made.count = driver.state().step;
  }
  return outcome;
}

// What a step with these gradients makes of `before`, by the CPU.
Numbers updated(Numbers before, const std::vector<float>& gradients, int step) {
  const StepOptions options = options_of(before.copies.empty() ? DType::f32 : DType::bf16, {});
  const StepState state{kSeed, uint64_t(step), options.arch.lr, 0};
  const int64_t count = int64_t(gradients.size());
  const Buffer workspace(global_norm_workspace(count, {}));
  float norm = 0;
  global_norm(&norm, gradients.data(), count, workspace.data(), {});
  adam({before.weights.data(), before.m.data(), before.v.data(), gradients.data(), before.average.data(),
        before.copies.empty() ? nullptr : before.copies.data(), count},
       &norm, &state, options.arch.adam, {});
  return before;
}

// The first of a run's quantities that differs too much; "" when none does.
class Comparison {
 public:
  explicit Comparison(DType precision) : precision_(precision) {}

  template <typename T>
  void of(const std::string& what, const T* device, const T* wanted, size_t count, double allowed) {
    if (!problem_.empty()) return;
    const double by = relative_distance(device, wanted, count);
    if (by <= allowed) return;
    char text[96] = " hold a NaN";
    if (!std::isnan(by))
      std::snprintf(text, sizeof text, " differ by %.2g of themselves from the processor's (%.2g is allowed)", by,
                    allowed);
    problem_ = std::string("in ") + name_of(precision_) + " its " + what + text;
  }
  template <typename T>
  void of(const std::string& what, const std::vector<T>& device, const std::vector<T>& wanted, double allowed) {
    of(what, device.data(), wanted.data(), wanted.size(), allowed);
  }
  void of(const std::string& what, const Numbers& device, const Numbers& wanted, double allowed) {
    of("weights" + what, device.weights, wanted.weights, allowed);
    of("moments" + what, device.m, wanted.m, allowed);
    of("second moments" + what, device.v, wanted.v, allowed);
    of("averages" + what, device.average, wanted.average, allowed);
  }
  void count(uint64_t device, uint64_t wanted) {
    if (problem_.empty() && device != wanted)
      problem_ = std::string("in ") + name_of(precision_) + " it counts " + std::to_string(device) + " steps for " +
                 std::to_string(wanted);
  }
  const std::string& problem() const { return problem_; }

 private:
  DType precision_;
  std::string problem_;
};

// Copies of weights in bf16 are these, rounded: not a bit may differ.
void compare_copies(Comparison& c, const std::string& when, const Numbers& device) {
  std::vector<Bf16> wanted;
  if (!device.copies.empty())
    for (const float w : device.weights) wanted.push_back(to_bf16(w));
  c.of("bf16 copies of weights" + when, device.copies, wanted, 0);
}

std::string compare(const Outcome& device, const Outcome& cpu, DType precision, const ParameterLayout& layout) {
  const StepBound bound = step_bound(precision);
  Comparison c(precision);
  c.of(" at the start", device.start, cpu.start, 0);
  compare_copies(c, " at the start", device.start);
  for (int i = 0; i < kSteps; ++i) {
    const Step &there = device.steps[size_t(i)], &here = cpu.steps[size_t(i)];
    const std::string when = " of step " + std::to_string(i + 1);
    c.of("losses" + when, there.losses, here.losses, bound.loss);
    c.of("gradients" + when, there.gradients, here.gradients, bound.gradient);
    // What is little of the whole is not little of its own layer.
    for (const Parameter& p : layout.parameters)
      c.of("gradients of " + p.name + when, there.gradients.data() + p.offset, here.gradients.data() + p.offset,
           size_t(p.shape.elements()), bound.parameter);
    // From the device's own gradients: Adam makes a step of the learning rate of one that is next to nothing, whatever
    // its sign.
    const Numbers& before = i == 0 ? cpu.start : cpu.steps[size_t(i) - 1].after;
    c.of(when, there.after, updated(before, there.gradients, i), kAdamBound);
    compare_copies(c, when, there.after);
    c.count(there.count, here.count);
  }
  return c.problem();
}

}  // namespace

StepBound step_bound(DType precision) {
  return precision == DType::f32 ? StepBound{1e-4, 2e-2, 5e-2} : StepBound{1e-2, 5e-2, 0.15};
}

std::string self_check(Device device) {
  const StepOptions any = options_of(DType::f32, {});
  const auto layout = declare_parameters(any.arch, any.people);
  for (const DType precision : {DType::f32, DType::bf16}) {
    const Outcome cpu = run(Device::cpu, precision, layout, nullptr);
    Outcome there;
    try {
      there = run(device, precision, layout, &cpu);
    } catch (const OutOfMemory&) {  // says nothing of its arithmetic
      throw;
    } catch (const DeviceError&) {  // nor does a device that is lost
      throw;
    } catch (const std::exception& e) {  // of whatever other kind: this device is not to be trusted
      return e.what();
    }
    const std::string problem = compare(there, cpu, precision, *layout);
    if (!problem.empty()) return problem;
  }
  return "";
}

}  // namespace doppel
