#include "kernels/dense.h"

#include "kernels/backends.h"
#include "kernels/vendor.h"

namespace doppel {

DOPPEL_BACKENDS(dense_workspace)
DenseWorkspace dense_workspace(const Dense& dense, Stream stream) {
  return workspace_by_choice(dense.kernels, stream, [&](Stream on, const KernelChoices& kernels) {
    Dense chosen = dense;
    chosen.kernels = kernels;
    return DOPPEL_PICK_LIBRARY(dense_workspace, on)(chosen, on);
  });
}

DOPPEL_BACKENDS(dense_choices)
std::vector<KernelChoice> dense_choices(const Dense& dense, Pass pass, Stream stream) {
  return DOPPEL_PICK_LIBRARY(dense_choices, stream)(dense, pass, stream);
}

DOPPEL_BACKENDS(dense_fprop)
void dense_fprop(void* y, const void* x, const void* w, const float* b, const Dense& dense, void* workspace,
                 Stream stream) {
  stream = by_choice(stream, dense.kernels.fprop);
  DOPPEL_PICK_LIBRARY(dense_fprop, stream)(y, x, w, b, dense, workspace, stream);
}

DOPPEL_BACKENDS(dense_dgrad)
void dense_dgrad(void* dx, const void* dy, const void* w, const Dense& dense, void* workspace, Stream stream) {
  stream = by_choice(stream, dense.kernels.dgrad);
  DOPPEL_PICK_LIBRARY(dense_dgrad, stream)(dx, dy, w, dense, workspace, stream);
}

DOPPEL_BACKENDS(dense_wgrad)
void dense_wgrad(float* dw, float* db, const void* x, const void* dy, const Dense& dense, void* workspace,
                 Stream stream) {
  stream = by_choice(stream, dense.kernels.wgrad);
  DOPPEL_PICK_LIBRARY(dense_wgrad, stream)(dw, db, x, dy, dense, workspace, stream);
}

}  // namespace doppel
