// What bench_kernels times: every CUDA kernel of a training step, at the shapes of an architecture's layers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/stream.h"
#include "nn/architecture.h"

namespace doppel::bench {

constexpr int kPeople = 2;

struct KernelCase {
  std::string layer;   // "encoder.conv0"; or what the operands are
  std::string kernel;  // "fprop"
  std::string by;      // "doppel", "cuDNN", "cuBLASLt"
  double flops,
      bytes;  // of one call: products and sums of matrices alone, each input read once and each output written
  std::function<void(Stream)> run;
};

// Allocates a case's operands on the device in use (bench/card.h) and hands the case to `visit`, one after another, so
// that one case's memory is alive at a time. `batch` is per person, of two.
using Visit = std::function<void(const KernelCase&)>;
void visit_kernels(const std::string& arch, int batch, DType type, const Visit& visit);

// Of these the kernels on pictures: losses, warp; and those on frames, for which no architecture matters.
void visit_pictures(const Architecture& a, int batch, DType type, const Visit& visit);
void visit_frames(const Visit& visit);

// What the device can do, a second: operations by the fastest large bf16 matrix product of all libraries that are
// there, bytes read and written by a large copy. Each is measured for `seconds` and told to `each` with its time.
struct Peak {
  double flops = 0, bytes = 0;
};
Peak measured_peak(double seconds, const std::function<void(const KernelCase&, double)>& each);

}  // namespace doppel::bench
