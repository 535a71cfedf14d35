#include "bench/roofline_launches.h"

#include <algorithm>
#include <map>
#include <stdexcept>

#include "kernels/conv2d_ends_plan.h"
#include "kernels/conv2d_tile.h"
#include "kernels/emulator/recording.h"

namespace doppel::bench {
namespace {

namespace on = ::doppel::DOPPEL_BACKEND;

// ---- instructions of a warp -----------------------------------------------------------------------------------------

// From the machine code for sm_90 (cuobjdump -sass of build/CMakeFiles/kernels_cuda.dir/kernels/conv2d_*.cu.o): the
// length of a loop over what a turn of it does. Where a loop has ways for several shapes, the share that is taken is
// judged by eye; and what stands outside of loops (kFewStart, kWgradStart, kOutStart, kFp32Output, kSimtBlock), part of
// it ways not taken, is estimated. A sum of these may well be a third wrong.
//
// few_inputs_fprop: a block's start; four channels of a tap of the weights; of a rectangle, what is once, and a pixel
// of the patch that is fetched and stored; of a round of channels, what is once, a step, and in it 8 channels; of 16
// pixels of a row, what is once, 8 channels without and with leaky ReLU, and, where results do not leave 8 at a time,
// what 32 channels are more.
constexpr double kFewStart = 300, kWeightQuad = 62, kRectangle = 90, kPatchPixel = 37 + 16, kRoundOf = 80, kStep = 19,
                 kStepEight = 2.5, kHalfRow = 105, kEightLinear = 9, kEightLeaky = 17, kAnyStore = 330;
// few_inputs_wgrad: a block's start and end; of a rectangle, what is once, a pixel of the patch, a row of pixels, and
// of this a pair of tiles of columns.
constexpr double kWgradStart = 900, kWgradRectangle = 185, kWgradPixel = 48, kWgradRow = 14, kWgradPair = 6;
// few_outputs on tensor cores: a block's start; beside the products a line of x, and 32 channels of it; beside them a
// batch of lines; an output's place, once for a batch, and of each output, what is once, a chunk of channels and in it
// a column of the filter.
constexpr double kOutStart = 670, kLine = 40, kLineHalf = 8, kBatchOf = 20, kPlace = 88, kOutput = 50, kParts = 15,
                 kPart = 2;
// few_outputs in fp32 arithmetic: a quad of x, four channels of a weight, an output; for each multiplication and each
// quad that is read for them.
constexpr double kQuad = 75, kQuadOfWeights = 49, kFp32Output = 40, kBusy = 1.04;
// simt: a step of 16 products of each sum is 8 x 142 with 1024 FFMA, and to fetch the next one, as vectors, somewhat
// more than half of what the loop has beside; a block's start and its 64 results of a thread.
constexpr double kSimtStep = 8 * 142, kGatherFetch = 280, kWgradFetch = 400, kSimtBlock = 1200;
constexpr double kSimtFfma = on::kDepth * 64;

constexpr double kWarp = 32, kHmmaFlops = 2 * 16 * 8 * 16;

double parts(double size, double part) {
  return double(int64_t((size + part - 1) / part));
}

// ---- names ----------------------------------------------------------------------------------------------------------

// DOPPEL_KERNEL names a kernel as its launcher's source does, with the template's own parameters.
std::string compiled_name(const std::string& name, const Conv2d& conv, Pass pass) {
  const std::string type = conv.type == DType::bf16 ? "Bf16" : "float";
  const Conv2d few = pass != Pass::fprop && few_outputs(conv) ? mirrored(conv) : conv;
  const auto with = [](int a, int b) { return std::to_string(a) + ", " + std::to_string(b) + ">"; };
  const std::map<std::string, std::string> compiled = {
      {"gather_kernel<T, Forward>", "gather_kernel<" + type + (pass == Pass::fprop ? ", true>" : ", false>")},
      {"wgrad_kernel<T>", "wgrad_kernel<" + type + ">"},
      {"few_inputs_fprop_kernel<Stride, Round>", "few_inputs_fprop_kernel<" + with(conv.stride, FewInputs(few).round)},
      {"few_inputs_wgrad_kernel<Stride, Pairs>",
       "few_inputs_wgrad_kernel<" + with(conv.stride, FewInputsWgrad(few).pairs)},
      {"few_outputs_mma_kernel<R, Halves>", "few_outputs_mma_kernel<" + with(conv.r, FewOutputs(conv, 1).halves)},
      {"few_outputs_kernel<T, R>", "few_outputs_kernel<" + type + ", " + std::to_string(conv.r) + ">"},
  };
  const auto found = compiled.find(name);
  return found == compiled.end() ? name : found->second;
}

// ---- kernels --------------------------------------------------------------------------------------------------------

KernelWork few_inputs_fprop(const Conv2d& v, bool mirrored, const KernelLaunch& launch) {
  const FewInputs plan(v);
  const double blocks = double(launch.blocks) / v.groups / plan.channel_tiles(v);
  const double rectangles = parts(plan.rectangles(v), blocks), threads = FewInputs::kThreads;
  const double rounds = parts(std::min(v.k, plan.channels), plan.round), eights = plan.round / 8.0;
  const double pixels = FewInputs::kRows * FewInputs::kColumns, taps = double(plan.steps) * FewInputs::kTaps;
  KernelWork work{true, rectangles * 2 * pixels * rounds * plan.round * taps * kMostFew, 0, 0};
  const bool any = (mirrored ? v.type : v.out_type) != DType::bf16 || v.k % 8 != 0;  // dx is of type `type`
  const double row = kHalfRow + eights * (mirrored ? kEightLinear : kEightLeaky) + (any ? eights / 4 * kAnyStore : 0);
  const double round = kRoundOf + plan.steps * (kStep + kStepEight * eights) + 2 * row;
  work.instructions = kFewStart + plan.channels * taps / threads * kWeightQuad +
                      rectangles * (kRectangle + parts(plan.patch.pixels(), threads) * kPatchPixel + rounds * round);
  return work;
}

KernelWork few_inputs_wgrad(const Conv2d& v) {
  using Plan = FewInputsWgrad;
  const Plan plan(v);
  const double rectangles = parts(plan.rectangles(v), plan.splits), columns = plan.tap_groups * plan.pairs * 2 * 8.0;
  const double rows = double(Plan::kRows) * plan.tap_groups / Plan::kRoles;  // of a warp
  KernelWork work{true, rectangles * 2 * Plan::kPixels * Plan::kChannels * columns, 0, 0};
  work.instructions =
      kWgradStart + rectangles * (kWgradRectangle + parts(plan.patch.pixels(), Plan::kThreads) * kWgradPixel +
                                  rows * (kWgradRow + kWgradPair * plan.pairs));
  return work;
}

KernelWork few_outputs_mma(const Conv2d& v) {
  const FewOutputs plan(v, emulator::options().multiprocessors);
  const double lines = plan.rows + v.r - 1, batches = parts(lines, FewOutputs::batch(v.r));
  const double products = double(v.r) * FewOutputs::kStrip / 8 * plan.halves * 2;
  const double outputs = parts(std::min(plan.first_outputs(v), v.out_w()) * v.k, kWarp) / FewOutputs::kWarps;
  KernelWork work{true, lines * FewOutputs::kWarps * products * kHmmaFlops, 0, 0};
  work.instructions = kOutStart + lines * (products + kLine + plan.halves * kLineHalf) +
                      batches * (kBatchOf + outputs * kPlace) +
                      plan.rows * outputs * (kOutput + plan.chunks * (kParts + kPart * v.s));
  return work;
}

KernelWork few_outputs_fp32(const Conv2d& v) {
  constexpr double kThreads = 64, kColumns = 32, kChunk = 8;
  const double rows = v.r == 1 ? 4 : 8, tile_rows = kThreads / kColumns * rows, chunks = parts(v.c, kChunk);
  const double patch = (tile_rows + v.r - 1) * (kColumns + v.s - 1), quads = kChunk / 4;
  const double ffma = quads * v.s * 16 * rows * v.r, reads = quads * v.s * (rows + v.r - 1 + 4 * v.r);
  KernelWork work{false, chunks * 2 * kThreads * ffma, 0, 0};
  work.instructions = chunks * (quads * patch / kThreads * kQuad + kChunk * v.r * v.s / kThreads * kQuadOfWeights +
                                kBusy * (ffma + reads)) +
                      rows * 4 * kFp32Output;
  return work;
}

// Steps of 16 products of a sum; a dgrad with stride 2 is four, of which this is the mean.
double simt_steps(const Conv2d& v, Pass pass) {
  if (pass == Pass::fprop) return v.r * parts(v.s * v.c, on::kDepth);
  if (pass == Pass::wgrad) return parts(double(v.out_pixels()), on::kDepth);
  double steps = 0;
  for (int phase = 0; phase < v.stride * v.stride; ++phase)
    steps += parts(v.r - phase / v.stride, v.stride) * parts(parts(v.s - phase % v.stride, v.stride) * v.k, on::kDepth);
  return steps / (v.stride * v.stride);
}

KernelWork simt(const Conv2d& v, Pass pass, double splits) {
  const double steps = simt_steps(v, pass) / splits;
  const double fetch = pass == Pass::wgrad ? kWgradFetch : kGatherFetch;
  KernelWork work{false, steps * 2 * on::kTile * on::kTile * on::kDepth, steps * (kSimtStep + fetch) + kSimtBlock, 0};
  static_assert(kSimtFfma * on::kTileThreads == on::kTile * on::kTile * on::kDepth);
  work.cache_bytes = steps * 2 * on::kTile * on::kDepth * double(size_of(v.type));
  return work;
}

}  // namespace

std::vector<KernelLaunch> launches_of(const Conv2d& conv, Pass pass, const KernelChoice& kernel) {
  Conv2d v = conv;
  v.kernels[pass] = kernel;
  if (v.groups > 1 && v.weight_stride == 0) v.weight_stride = v.weights(), v.bias_stride = v.k;
  // Aligned as a device's memory is; what is recorded reads nothing.
  alignas(256) static char memory[256];
  const Stream stream{Device::emulator, nullptr, {}};
  float* const sums = reinterpret_cast<float*>(memory);
  const emulator::Recording recording([&] {
    if (pass == Pass::fprop) conv2d_fprop(memory, memory, memory, sums, v, {}, memory, stream, nullptr);
    if (pass == Pass::dgrad) conv2d_dgrad(memory, memory, memory, v, memory, stream);
    if (pass == Pass::wgrad) conv2d_wgrad(sums, memory, memory, v, memory, stream);
  });
  std::vector<KernelLaunch> all;
  for (const emulator::RecordedLaunch& launch : recording.launches()) {
    const auto count = [](const auto& d) { return int64_t(d.x) * d.y * d.z; };
    all.push_back(
        {compiled_name(launch.kernel, conv, pass), count(launch.grid), int(count(launch.block)), int(launch.shared)});
  }
  return all;
}

KernelWork work_of(const Conv2d& conv, Pass pass, const KernelChoice& kernel, const KernelLaunch& launch) {
  const bool mirrored = kernel.kernel == KernelKind::ends && pass != Pass::fprop && few_outputs(conv);
  const Conv2d v = mirrored ? doppel::mirrored(conv) : conv;
  const std::string& name = launch.kernel;
  if (name.starts_with("few_inputs_fprop_kernel")) return few_inputs_fprop(v, mirrored, launch);
  if (name.starts_with("few_inputs_wgrad_kernel")) return few_inputs_wgrad(v);
  if (name.starts_with("few_outputs_mma_kernel")) return few_outputs_mma(v);
  if (name.starts_with("few_outputs_kernel")) return few_outputs_fp32(v);
  if (name.starts_with("gather_kernel")) return simt(v, pass, kernel.splits);
  if (name.starts_with("wgrad_kernel")) {  // the mirror's has parts of its own
    const double tiles = parts(v.k, on::kTile) * parts(double(v.r) * v.s * v.c, on::kTile);
    return simt(v, pass, double(launch.blocks) / tiles / v.groups);
  }
  throw std::invalid_argument("nothing is known of the kernel " + name);
}

}  // namespace doppel::bench
