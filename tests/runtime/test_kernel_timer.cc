// Timing a kernel on operands of its own, and comparing what kernels write.
#include "runtime/kernel_timer.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "runtime/devices.h"
#include "runtime/kernel_cache.h"
#include "runtime/operators.h"

using namespace doppel;

TEST_CASE("kernel timer: views of one value lie apart as they do in the graph", "[kernel_timer]") {
  // An operator that looks at where its operands are.
  class Looks : public Operator {
   public:
    std::string name() const override { return "looks"; }
    void run(const Arguments& a) const override {
      const auto at = [&](size_t i) { return static_cast<const char*>(a.in[i]); };
      CHECK(at(1) - at(0) == 2 * 8 * 4);
      CHECK(at(2) - at(0) == -8 * 4);
      CHECK(a.out[0] == at(1) + 4 * 8 * 4);
      CHECK(at(3) != nullptr);
    }
  };
  Graph g(std::make_shared<ParameterLayout>(), DType::f32);
  const ValueId whole = g.value("whole", {16, 1, 1, 8}, DType::f32), other = g.value("other", {4, 1, 1, 8}, DType::f32);
  const ValueId rows = g.slice(whole, 2, 14);
  g.append(std::make_shared<Looks>(), {g.slice(rows, 1, 1), g.slice(rows, 3, 1), g.slice(whole, 2, 1), other},
           {g.slice(rows, 7, 7)});
  KernelTimer timer(Stream{Device::emulator});
  timer.set_node(g, g.nodes.front());
  CHECK(timer.seconds(*g.nodes.front().op) > 0);
}

TEST_CASE("kernel timer: kernels are timed on operands of their own", "[kernel_timer][emulator]") {
  Graph g(std::make_shared<ParameterLayout>(), DType::bf16);
  const ValueId x = g.value("x", {1, 4, 4, 8}, DType::bf16, Role::kept);
  conv2d(g, x, "conv", {.filters = 8});
  for (const Device device : testing::devices()) {
    if (device == Device::cpu) continue;
    const testing::Guard guard;
    const DeviceStream stream(device);
    KernelTimer timer(stream);
    const Node& node = g.nodes.front();
    timer.set_node(g, node);
    for (const KernelChoice& choice : {KernelChoice{}, KernelChoice{KernelKind::mma_64x64, 3}}) {
      const double seconds = timer.seconds(*node.op->with(choice));
      CHECK(seconds > 0);
      CHECK(seconds < 60);
    }
  }
}

namespace {

// A convolution whose result is damaged: by what `damage` does to the output, which the emulator's host can reach.
class Damaged : public Operator {
 public:
  Damaged(std::shared_ptr<const Operator> op, std::function<void(void*)> damage)
      : op_(std::move(op)), damage_(std::move(damage)) {}
  std::string name() const override { return "damaged"; }
  size_t workspace(Stream s) const override { return op_->workspace(s); }
  void run(const Arguments& a) const override {
    op_->run(a);
    damage_(a.out[0]);
  }

 private:
  std::shared_ptr<const Operator> op_;
  std::function<void(void*)> damage_;
};

// Writes nothing.
class Idle : public Operator {
 public:
  std::string name() const override { return "idle"; }
  void run(const Arguments&) const override {}
};

}  // namespace

TEST_CASE("kernel timer: a kernel whose results differ is told from one that sums in another order",
          "[kernel_timer][emulator]") {
  for (const DType type : {DType::bf16, DType::f32}) {
    INFO(name_of(type));
    Graph g(std::make_shared<ParameterLayout>(), type);
    const ValueId x = g.value("x", {1, 32, 32, 64}, type, Role::kept);
    // 320 KiB or 640: several pieces.
    const ValueId y = conv2d(g, x, "conv", {.filters = 160, .kernel = 1});
    const Node& node = g.nodes.front();
    KernelTimer timer(Stream{Device::emulator});
    timer.set_node(g, node);
    timer.keep_results(*node.op);
    for (const int splits : {1, 2}) {
      const KernelChoice choice{type == DType::bf16 ? KernelKind::mma_64x64 : KernelKind::simt, splits};
      INFO(to_string(choice));
      CHECK(timer.distance(*node.op->with(choice)) <= timer.most_distance());
    }

    const size_t bytes = g[y].bytes();
    const auto distance = [&](const std::function<void(char*)>& damage) {
      return timer.distance(Damaged(node.op, [&](void* out) { damage(static_cast<char*>(out)); }));
    };
    CHECK(distance([](char*) {}) == 0);
    // Two rows of the picture exchanged, at the beginning, within, at the end: each in one piece alone.
    const size_t row = bytes / 32;
    for (const size_t at : {size_t(0), 15 * row, 30 * row})
      CHECK(distance([&](char* out) { std::swap_ranges(out + at, out + at + row, out + at + row); }) > 0.1);
    CHECK(distance([&](char* out) { std::memset(out, 0, row); }) > timer.most_distance());
    // One NaN, and nothing written at all: the results of the kernel before must not count.
    CHECK(std::isnan(distance([&](char* out) { std::memset(out + bytes - size_of(type), 0xFF, size_of(type)); })));
    CHECK(std::isnan(timer.distance(Idle())));
    // The comparison has changed nothing for those that follow.
    CHECK(timer.distance(*node.op) == 0);
  }
}
