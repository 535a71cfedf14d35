// Chooses the kernels of a graph's convolutions and dense layers by timing them, once for each device and product.
//
// A kernel sets the order of a sum, so another choice gives other last bits. The times are kept in a file
// (runtime/kernel_cache.h) and the choice follows from them alone: on the same device, with that file, a run goes on
// bit for bit. Whatever is timed stays: later choices differ only where a kernel was not measured before. A kernel that
// there was no room to time is none that was measured: the next run tries it again, and may take it.
#pragma once

#include <functional>
#include <string>

#include "runtime/graph.h"

namespace doppel {

// Among which kernels: none, all left to the model of kernels/conv2d_mma_plan.h; our own; or those and the libraries of
// kernels/vendor.h where they can be used.
enum class Candidates { untimed, handwritten, all };

struct Tuning {
  Candidates candidates = Candidates::untimed;
  std::string cache;                             // the file; empty: none (kernel_cache_path())
  std::function<void(const std::string&)> tell;  // lines for people; may be empty
  // For tests: the seconds of an operator, instead of timing it on the device; and the versions of libraries that are
  // taken as being there, instead of asking them.
  std::function<double(const Operator&)> seconds;
  std::string libraries = {};
};

// Among the candidates that people call by one of these names, in the order of Candidates; std::invalid_argument for
// any other name.
constexpr const char* kCandidateNames[] = {"untimed", "handwritten", "auto"};
Tuning named_tuning(const std::string& name, std::string cache, std::function<void(const std::string&)> tell);

// A library's kernel needs at most this much more workspace than the kernel that is taken by itself, and so does one of
// our own: the memory that a plan spares (nn/memory_plan.h), which is counted before kernels are chosen, holds it.
constexpr size_t kMostExtraWorkspace = size_t(128) << 20;

struct Tuned {
  int products = 0;  // different ones
  int timed = 0;     // kernels that no file knew
};

// Gives each node of `graph` whose kernel can be chosen the fastest; the kernel that is taken by itself is kept unless
// another is faster by more than kWorthIt. To be called before the graph is planned: kernels differ in their workspace.
// On the CPU nothing is done, nor on the emulator, whose times mean nothing, unless tuning.seconds is given.
//
// A kernel whose results differ from those of the one that is taken by itself, on the same random operands, is left out
// (not with tuning.seconds), and so is one that throws; one line tells of it.
//
// Needs the operands of one product at a time; of a product for which there is no memory the fastest is taken of the
// kernels that an earlier run has timed, or the one that is taken by itself, and a kernel that lacks memory for itself
// is left out, both for this run and told. A kernel in whose trial the last start with this file ended, by a device
// that failed or by being killed, is left out and told (runtime/kernel_trial.h). Throws Interrupted on Ctrl-C,
// DeviceError when the device fails, and what that one kernel throws. A file that is damaged is told and replaced, one
// that cannot be written is told; neither is a failure.
constexpr double kWorthIt = 0.02;
Tuned choose_kernels(Graph& graph, Stream stream, const Tuning& tuning);

}  // namespace doppel
