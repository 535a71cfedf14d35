#include "kernels/dense.h"

#include "kernels/backends.h"
#include "kernels/vendor.h"

namespace doppel {

DOPPEL_BACKENDS(dense_workspace)
DenseWorkspace dense_workspace(const Dense& dense, Stream stream) {
  return DOPPEL_PICK_LIBRARY(dense_workspace, stream)(dense, stream);
}

DOPPEL_BACKENDS(dense_fprop)
void dense_fprop(void* y, const void* x, const void* w, const float* b, const Dense& dense, void* workspace,
                 Stream stream) {
  DOPPEL_PICK_LIBRARY(dense_fprop, stream)(y, x, w, b, dense, workspace, stream);
}

DOPPEL_BACKENDS(dense_dgrad)
void dense_dgrad(void* dx, const void* dy, const void* w, const Dense& dense, void* workspace, Stream stream) {
  DOPPEL_PICK_LIBRARY(dense_dgrad, stream)(dx, dy, w, dense, workspace, stream);
}

DOPPEL_BACKENDS(dense_wgrad)
void dense_wgrad(float* dw, float* db, const void* x, const void* dy, const Dense& dense, void* workspace,
                 Stream stream) {
  DOPPEL_PICK_LIBRARY(dense_wgrad, stream)(dw, db, x, dy, dense, workspace, stream);
}

}  // namespace doppel
