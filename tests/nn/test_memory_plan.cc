// What a plan says that a run takes.
#include <catch2/catch.hpp>

#include "nn/checkpoint_writer.h"
#include "nn/runs.h"

using namespace doppel;
using testing::lite;

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

  // The batch that is said to fit does, and the next larger one does not. All that this process may hold more by now:
  // kernels that planning compiled, and under a sanitizer what was freed.
  constexpr size_t kMore = size_t(48) << 20;
  for (const size_t budget : {plan.total() + plan.activations / 4 + kMore, plan.total() * 3}) {
    const int fits = largest_batch(options, sets, 2, budget);
    CAPTURE(budget, fits);
    REQUIRE(fits >= 4);
    // The search compiled kernels, which this process holds from now on: the step is what is compared.
    const auto total = [&](int batch) {
      options.batch = batch;
      const MemoryPlan whole = plan_memory(options, sets, 2);
      return whole.total() - whole.process;
    };
    CHECK(total(fits) + plan.process <= budget);
    CHECK(total(fits + 1) + plan.process + kMore > budget);
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

TEST_CASE("the copy of a checkpoint is planned where there is room for it, and is what a writer takes", "[memory]") {
  ModelDescription m = lite("fp32");
  m.architecture = "tiny";
  StepOptions options = step_options(m);
  const ParameterStore store = make_store(declare_parameters(options.arch, options.people), options.precision, true);
  const size_t copy = CheckpointWriter::copy_bytes(store);
  CHECK(copy == store.weights.bytes() + store.m.bytes() + store.v.bytes() + store.average.bytes());
  for (const Device device : {Device::cpu, Device::cuda}) {
    options.stream.device = device;
    MemoryPlan plan = plan_memory(options, {{400, 600}}, 2);
    CHECK(plan.checkpoint == 0);
    const size_t on_device = plan.device(), host = plan.host(), total = plan.total();
    add_checkpoint_copy(plan, host + copy - 1);
    CHECK(plan.checkpoint == 0);
    add_checkpoint_copy(plan, host - 1);
    CHECK(plan.checkpoint == 0);
    add_checkpoint_copy(plan, host + copy);
    CHECK(plan.checkpoint == copy);
    CHECK(plan.host() == host + copy);
    CHECK(plan.total() == total + copy);
    CHECK(plan.device() == on_device + (device == Device::cpu ? copy : 0));
    CHECK(to_string(plan).find("checkpoint ") != std::string::npos);
  }
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
