// Times a node's operator on the device, alone, with operands of random numbers.
#pragma once

#include <vector>

#include "runtime/device.h"
#include "runtime/graph.h"

namespace doppel {

class KernelTimer {
 public:
  // Lets the device work for a moment, so that its clock is up. Throws Error when there is no memory for what it needs.
  explicit KernelTimer(Stream stream);

  // Makes operands for `node`; those of the node before are gone. Views of one value, the weights of groups for
  // example, lie as far apart as they do there.
  void set_node(const Graph& graph, const Node& node);

  // Median seconds of one run of `op` on them, which is the node's operator by some kernel, by the device's clock.
  // Before each run the caches are overwritten: in a step, too, a layer's weights and most of its pictures come from
  // memory, and a kernel that is fastest only while everything lies in a cache is not wanted.
  double seconds(const Operator& op);

 private:
  // What a node touches of one value that owns memory.
  struct Span {
    ValueId owner;
    size_t begin, end;
    DType type;
    Buffer memory;
  };

  void overwrite_caches();

  Stream stream_;
  Buffer flush_;
  std::vector<float> random_;
  std::vector<Span> operands_;
  Buffer workspace_;
  Arguments arguments_;
};

}  // namespace doppel
