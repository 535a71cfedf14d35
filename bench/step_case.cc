#include "bench/step_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "bench/card.h"
#include "bench/program.h"
#include "bench/step_floor.h"
#include "kernels/philox.h"
#include "nn/trainer.h"
#include "runtime/clock.h"
#include "runtime/device.h"
#include "runtime/kernel_cache.h"

#if defined(DOPPEL_ONEDNN)
#include "bench/bare_onednn.h"
#endif

// Not every toolkit has it where headers are looked for.
#if defined(DOPPEL_CUDA) && __has_include(<nvtx3/nvToolsExt.h>)
#define DOPPEL_NVTX
#include <nvtx3/nvToolsExt.h>
#endif

namespace doppel::bench {
namespace {

template <typename Body>
double seconds(Body&& body) {
  const auto start = Clock::now();
  body();
  return since(start);
}

std::vector<uint8_t> noise_faces(int faces, int size) {
  std::vector<uint8_t> pixels(size_t(faces) * size_t(size) * size_t(size) * 3);
  Random random(1, 0, 0);
  for (size_t i = 0; i + 4 <= pixels.size(); i += 4) {
    const uint32_t bits = random.bits();
    std::memcpy(&pixels[i], &bits, 4);
  }
  return pixels;
}

// The bare products see the forward nodes of the very graph that trains.
std::vector<std::function<void()>> bare_products_of([[maybe_unused]] const Graph& graph) {
#if defined(DOPPEL_ONEDNN)
  return bare_products(graph);
#else
  return {};
#endif
}

// A range of a profiler's time line, while it lives.
class Range {
 public:
#if defined(DOPPEL_NVTX)
  explicit Range(const char* name) {
    nvtxRangePushA(name);
  }
  ~Range() {
    nvtxRangePop();
  }
#else
  explicit Range(const char*) {}
  ~Range() {}
#endif
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

// `pixels` are filled, and must outlive the trainer.
std::unique_ptr<Trainer> make_trainer(const StepCase& c, Device device, const Tuning& tuning,
                                      std::vector<uint8_t>& pixels) {
  const Architecture arch = architecture(c.arch);
  ModelDescription m;
  m.architecture = c.arch;
  m.people = {"a", "b"};
  m.face_size = arch.warp.face_size;
  m.coverage = 1;
  m.batch = c.batch;
  m.lr = arch.lr;
  m.seed = 1;
  m.precision = c.precision;
  const int faces = 32;
  pixels = noise_faces(faces, m.face_size);
  const std::vector<PersonFaces> people{{"a", faces, pixels.data()}, {"b", faces, pixels.data()}};
  return std::make_unique<Trainer>(m, people, TrainingEnd{}, device, StepSetup{{}, tuning});
}

// Floors are 0 without a peak.
std::vector<NodeTime> profile(Trainer& trainer, int rounds, const Peak& peak) {
  Program& program = trainer.training_step().program();
  const Graph& graph = program.graph();
  std::vector<std::vector<double>> times(graph.nodes.size());
  for (int round = 0; round < rounds; ++round) {
    const std::vector<double> one = program.run_timed();
    for (size_t i = 0; i < times.size(); ++i) times[i].push_back(one[i]);
  }
  std::vector<NodeTime> nodes;
  for (size_t i = 0; i < times.size(); ++i) {
    const Node& node = graph.nodes[i];
    const Value& out = graph[node.out.front()];
    nodes.push_back({node.op->name(), out.name + " " + to_string(out.shape),
                     node.op->product().empty() ? "" : to_string(node.op->choice()), median_time(times[i]),
                     node.op->flops(), least_bytes(graph, node),
                     peak.flops > 0 ? floor_of(graph, node, peak).seconds : 0});
  }
  return nodes;
}

}  // namespace

CpuResult measure_on_cpu(const StepCase& c, double budget, bool with_profile) {
  std::vector<uint8_t> pixels;
  const auto trainer = make_trainer(c, Device::cpu, {}, pixels);
  const auto bare = bare_products_of(trainer->training_step().program().graph());
  const auto run_bare = [&] {
    for (const auto& call : bare) call();
  };
  for (int i = 0; i < 3; ++i) {
    trainer->step();
    run_bare();
  }
  std::vector<double> step_times, ratios;
  const auto start = Clock::now();
  while (step_times.size() < 5 || since(start) < budget) {
    stop_if_asked();
    const double step = seconds([&] { trainer->step(); });
    const double products = seconds(run_bare);
    step_times.push_back(step);
    ratios.push_back(products / std::max(step, kLeastTime));
  }
  const double t = median_time(step_times);
  const double flops = trainer->training_step().flops();
  return {c,
          2 * c.batch / t,
          flops / t * 1e-9,
          flops,
          bare.empty() ? std::nan("") : median(ratios),
          with_profile ? profile(*trainer, 9, {}) : std::vector<NodeTime>{}};
}

DeviceResult measure_on_device(const StepCase& c, Device device, const Tuning& tuning, const Peak& peak, double budget,
                               bool with_profile) {
  const bool rehearsed = device == Device::emulator;
  // As many as may be pending before the trainer waits for the oldest.
  const int block = rehearsed ? 1 : StepDriver::kLag;
  const size_t free_before = available_memory(device);
  std::vector<uint8_t> pixels;
  const auto trainer = make_trainer(c, device, tuning, pixels);
  // The first goes node by node, the second is recorded, the others are replayed.
  for (int i = 0; i < (rehearsed ? 1 : 10); ++i) trainer->step();
  trainer->settle();

  const size_t free_after = available_memory(device);
  std::vector<double> on_device, wall, submit;
  const auto begin = Clock::now();
  while (on_device.empty() || (!rehearsed && on_device.size() < 5) || since(begin) < budget) {
    stop_if_asked();
    DeviceEvent first(device), last(device);
    const auto start = Clock::now();
    first.record(trainer->stream());
    for (int i = 0; i < block; ++i) trainer->step();
    last.record(trainer->stream());
    submit.push_back(since(start) / block);
    last.wait();
    wall.push_back(since(start) / block);
    on_device.push_back(last.seconds_since(first) / block);
    trainer->settle();
  }

  TrainingStep& step = trainer->training_step();
  const ParameterStore& store = trainer->store();
  DeviceResult r;
  r.what = c;
  r.device = describe(device);
  r.seconds = median_time(on_device);
  r.wall = median_time(wall);
  r.submit = median_time(submit);
  r.flops = step.flops();
  r.memory = device == Device::cuda && free_before > free_after ? free_before - free_after : 0;
  r.planned = step.program().arena_bytes();
  for (const Buffer* b : {&store.weights, &store.gradients, &store.m, &store.v, &store.average, &store.copies})
    r.planned += b->bytes();
  r.peak = peak;
  const Floor least = floor_of(step.program().graph(), peak);
  r.arithmetic_floor = least.arithmetic;
  r.memory_floor = least.memory;
  r.floor = least.seconds;
  if (with_profile) r.nodes = profile(*trainer, rehearsed ? 1 : 9, peak);
  return r;
}

void run_with_ranges(const StepCase& c, Device device, const Tuning& tuning, int steps) {
  std::vector<uint8_t> pixels;
  const auto trainer = make_trainer(c, device, tuning, pixels);
  trainer->step();
  trainer->settle();
  Program& program = trainer->training_step().program();
  const Graph& graph = program.graph();
  for (int i = 0; i < steps; ++i) {
    const Range whole("step");
    program.run_each([&](size_t node, const std::function<void()>& run) {
      const std::string name = graph.nodes[node].op->name() + " " + graph[graph.nodes[node].out.front()].name;
      const Range one(name.c_str());
      run();
    });
    wait(trainer->stream());
  }
}

}  // namespace doppel::bench
