// A planned graph with memory: replays its nodes on fixed pointers.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/buffer.h"
#include "runtime/device.h"
#include "runtime/graph.h"
#include "runtime/plan.h"

namespace doppel {

class Program {
 public:
  // Plans and, unless `dry`, allocates the arena. A dry program knows its bytes but cannot run.
  Program(Graph graph, Stream stream, bool dry = false);

  // Gives an external value its memory, on the stream's device. All external values that nodes touch must be bound
  // before run().
  void bind(ValueId external, void* memory);
  // A kept or bound value's memory, on the stream's device.
  void* data(ValueId v) const;

  // On a card, and on the emulator, the first run goes node by node, which loads what the nodes need; the second is
  // recorded, and it and all that follow are launched as one graph. Nothing is waited for.
  void run();
  // Node by node; throws Error naming the node and the value as soon as an output holds a NaN or an infinity.
  void run_checked();
  // Node by node: calls around(i, run) for node i, which calls run() to have the node done.
  void run_each(const std::function<void(size_t, const std::function<void()>&)>& around);
  // Fills the arena with bytes that are NaN in every type, kept values too: what the next run finds good there it has
  // made itself. For checks; memory that is bound is as it was.
  void spoil();
  // Seconds of each node in one replay, by the device's clock.
  std::vector<double> run_timed();

  size_t arena_bytes() const { return plan_.arena_bytes; }
  const Graph& graph() const { return graph_; }
  // The plan as text: one line a node with its shapes, bytes, place and what was fused, and the sums.
  std::string describe() const;

 private:
  void resolve();
  void run_nodes();

  Graph graph_;
  Stream stream_;
  Plan plan_;
  Buffer arena_;
  std::vector<void*> bound_;      // [values]
  std::vector<Arguments> calls_;  // [nodes], resolved at the first run
  bool has_run_ = false;
  DeviceGraph recorded_;
};

}  // namespace doppel
