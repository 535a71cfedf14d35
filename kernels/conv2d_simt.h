// Convolution of any shape on the ordinary arithmetic units, in fp32 (operands of type fp32 or bf16): the version to
// read first, docs/kernels/conv2d_simt.md. Launchers as in kernels/conv2d.h. Private to kernels/conv2d*.cu and
// kernels/dense.cu.
#pragma once

#include <algorithm>

#include "kernels/conv2d.h"
#include "kernels/device/platform.h"

namespace doppel::DOPPEL_BACKEND {

// backward_epilogue is left 0: that is kernels/conv2d_epilogue.cu.
ConvWorkspace simt_workspace(const Conv2d& conv, const Epilogue& epilogue);

void simt_fprop(void* y, void* saved, const void* x, const void* w, const float* b, const Conv2d& conv,
                const Epilogue& epilogue, void* workspace, Stream stream);
void simt_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream);
void simt_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream);

// Tiles of a result, of all phases of a dgrad, and the steps of each one's sum.
struct SimtSum {
  int64_t tiles, steps;
};
// Blocks that share a tile's sum: as chosen, else by the shapes alone, enough to occupy a large card, each with at
// least 4 steps.
constexpr int64_t kLeastSimtSteps = 4;
inline int simt_splits(const SimtSum& sum, const KernelChoice& choice) {
  constexpr int64_t kBlocks = 256;
  if (choice.kernel == KernelKind::simt) return choice.splits;
  return int(std::max<int64_t>(1, std::min(kBlocks / sum.tiles, sum.steps / kLeastSimtSteps)));
}
// Parts, phases and groups are numbered along the third axis of the grid. False: they are more than it has.
bool simt_fits_grid(const Conv2d& conv, Pass pass);
// From a quarter of those parts to four times as many, as far as they fit; the shapes' number comes first.
std::vector<KernelChoice> simt_choices(const Conv2d& conv, Pass pass);

// kernels/conv2d_simt_wgrad.cu
SimtSum simt_wgrad_sum(const Conv2d& conv);
size_t simt_wgrad_workspace(const Conv2d& conv);

}  // namespace doppel::DOPPEL_BACKEND
