// A program's ways to run, on every device: replayed, node by node, and again, all with the same bits.
#include "runtime/program.h"

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "kernels/philox.h"
#include "runtime/devices.h"
#include "runtime/gradient.h"
#include "runtime/operators.h"

using namespace doppel;

namespace {

// A small step with all that changes from run to run: weights, moments, and the state that the last node advances.
class Step {
 public:
  explicit Step(Device device) : stream_(device) {
    auto layout = std::make_shared<ParameterLayout>();
    Graph g(layout, DType::f32);
    const ValueId state = g.value("state", {}, DType::f32, Role::external);
    const ValueId x = g.value("x", {2, 8, 8, 3}, DType::f32, Role::kept);
    const ValueId target = g.value("target", {2, 8, 8, 3}, DType::f32, Role::kept);
    const ValueId h = leaky_relu(g, conv2d(g, x, "in", {.filters = 8}), 0.1f);
    const ValueId y = sigmoid(g, conv2d(g, h, "out", {.filters = 3, .fp32_output = true}));
    loss_ = image_loss(g, y, target, {}, "loss");
    fuse(g);
    differentiate(g);
    AdamOptions adam;
    adam.clip_norm = 1;
    const OptimizerArenas arenas = append_adam(g, state, adam);
    program_ = std::make_unique<Program>(std::move(g), stream_);

    const ValueId places[] = {state, program_->graph().weights, program_->graph().gradients, arenas.m, arenas.v};
    const size_t arena = layout->elements * sizeof(float);
    for (const ValueId place : places) {
      memory_.emplace_back(place == state ? sizeof(StepState) : arena, device);
      program_->bind(place, memory_.back().data());
    }
    const StepState start{1, 0, 1e-3f, 0};
    upload(memory_[0].data(), &start, sizeof start, stream_);
    fill(memory_[1].data(), layout->elements, -0.3f);
    for (const ValueId v : {x, target}) fill(program_->data(v), size_t(program_->graph()[v].shape.elements()), 0);
  }

  Program& program() { return *program_; }

  // The losses, the weights and the number of steps that the device has counted.
  std::vector<float> results() const {
    const HostCopy weights(memory_[1], stream_), state(memory_[0], stream_);
    std::vector<float> all(4);
    download(all.data(), program_->data(loss_), 4 * sizeof(float), stream_);
    wait(stream_);
    all.push_back(float(state.as<StepState>()->step));
    all.insert(all.end(), weights.as<float>(), weights.as<float>() + memory_[1].bytes() / sizeof(float));
    return all;
  }

  // Moves the weights to other memory and binds that.
  void move_weights() {
    const HostCopy weights(memory_[1], stream_);
    Buffer other(memory_[1].bytes(), stream_.device());
    upload(other.data(), weights.as<float>(), other.bytes(), stream_);
    memory_[1] = std::move(other);
    program_->bind(program_->graph().weights, memory_[1].data());
  }

 private:
  void fill(void* to, size_t count, float low) {
    std::vector<float> values(count);
    Random random(5, 0, uint32_t(count));
    for (float& v : values) v = random.uniform(low, low + 0.6f);
    upload(to, values.data(), count * sizeof(float), stream_);
    wait(stream_);
  }

  DeviceStream stream_;
  std::unique_ptr<Program> program_;
  std::vector<Buffer> memory_;
  ValueId loss_ = kNoValue;
};

constexpr int kRuns = 4;  // the first warms up, the second is recorded

}  // namespace

TEST_CASE("a replayed program equals node by node equals a second run, bit for bit", "[program]") {
  const testing::Guard guard;
  for (const Device device : testing::devices()) {
    INFO(testing::name_of(device));
    Step replayed(device), nodes(device), again(device), moved(device), timed(device);
    for (int i = 0; i < kRuns; ++i) {
      replayed.program().run();
      nodes.program().run_checked();
      again.program().run();
      if (i == kRuns / 2 + 1) moved.move_weights();
      moved.program().run();
      const std::vector<double> seconds = timed.program().run_timed();
      REQUIRE(seconds.size() == timed.program().graph().nodes.size());
      for (const double s : seconds) CHECK(s >= 0);
    }
    const std::vector<float> results = replayed.results();
    CHECK(results[0] > 0);
    CHECK(results[4] == float(kRuns));
    CHECK(nodes.results() == results);
    CHECK(again.results() == results);
    CHECK(moved.results() == results);
    CHECK(timed.results() == results);
  }
}
