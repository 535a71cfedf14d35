// Times a node's operator on the device, alone, with operands of random numbers, and compares what kernels make of
// them.
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
  // example, lie as far apart as they do there. Throws OutOfMemory.
  void set_node(const Graph& graph, const Node& node);

  // Median seconds of one run of `op` on them, which is the node's operator by some kernel, by the device's clock.
  // Before each run the caches are overwritten: in a step, too, a layer's weights and most of its pictures come from
  // memory, and a kernel that is fastest only while everything lies in a cache is not wanted.
  double seconds(const Operator& op);

  // Runs `op`, the node's operator by the kernel that others are to agree with, and keeps what it writes: all of small
  // outputs, pieces evenly spread over large ones.
  void keep_results(const Operator& op);
  // Runs `op`, and says how far its results are from those: |a - b| / |b| of the piece where that is largest. NaN when
  // a piece holds one, which it does where `op` has not written. Throws OutOfMemory.
  double distance(const Operator& op);
  // The distance between right results for this node. The order of a sum moves bf16 outputs by their rounding, 2^-9,
  // and fp32 sums of bf16 products by up to half a percent: tensor cores cut off where they add, which a sum of 10^6
  // terms feels. Sums by fp32 arithmetic differ by 10^-5 or so.
  double most_distance() const;

 private:
  // What a node touches of one value that owns memory.
  struct Span {
    ValueId owner;
    size_t begin, end;
    DType type;
    Buffer memory;
  };

  // Of an output.
  struct Piece {
    char* at;
    DType type;
    std::vector<char> kept;
  };

  void overwrite_caches();
  void cut_into_pieces(char* output, size_t bytes, DType type);
  // Makes the workspace and runs.
  void run(const Operator& op);

  Stream stream_;
  Buffer flush_;
  std::vector<float> random_;
  std::vector<Span> operands_;
  Buffer workspace_;
  Arguments arguments_;
  bool narrow_ = false;  // bf16 is among what the node reads and writes
  std::vector<Piece> pieces_;
};

}  // namespace doppel
