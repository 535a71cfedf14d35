// What bench_kernels times: every CUDA kernel of a training step, at the shapes of an architecture's layers.
#pragma once

#include <functional>
#include <string>

#include "bench/layers.h"
#include "kernels/dtype.h"
#include "kernels/stream.h"
#include "nn/architecture.h"

namespace doppel::bench {

struct KernelCase {
  std::string layer;   // "encoder.conv0"; or what the operands are
  std::string kernel;  // "fprop"
  std::string by;      // "doppel", "cuDNN", "2 x cuDNN": called for each group; "cuBLASLt"
  std::string choice;  // to_string(KernelChoice); empty where there is nothing to choose
  double flops,
      bytes;  // of one call: products and sums of matrices alone, each input read once and each output written
  std::function<void(Stream)> run;
};

// Allocates a case's operands on the device in use (bench/card.h) and hands the case to `visit`, one after another, so
// that one layer's memory is alive at a time. `batch` is per person, of kPeople.
using Visit = std::function<void(const KernelCase&)>;

// Convolutions and dense layers; the cases of a layer's pass follow each other. Each pass by the kernels that are taken
// by themselves, ours and the library's, with the backward epilogues; `all`: each pass by everything that
// conv2d_choices() and dense_choices() list, what is taken by itself first.
void visit_layers(const Layers& layers, bool all, const Visit& visit);
// The other kernels of an architecture's training step.
void visit_others(const Architecture& a, int batch, DType type, const Visit& visit);

// Of these the kernels on pictures: losses, warp; and those on frames, for which no architecture matters.
void visit_pictures(const Architecture& a, int batch, DType type, const Visit& visit);
void visit_frames(const Visit& visit);

}  // namespace doppel::bench
