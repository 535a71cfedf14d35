#include "kernels/loss.h"

#include "kernels/backends.h"

namespace doppel {

DOPPEL_BACKENDS(pointwise_loss_workspace)
size_t pointwise_loss_workspace(const LossShape& shape, Stream stream) {
  return DOPPEL_PICK(pointwise_loss_workspace, stream)(shape, stream);
}

DOPPEL_BACKENDS(l1_loss)
void l1_loss(float* loss, float* dy, const float* y, const float* t, const LossShape& shape, float weight,
             bool accumulate, void* workspace, Stream stream) {
  DOPPEL_PICK(l1_loss, stream)(loss, dy, y, t, shape, weight, accumulate, workspace, stream);
}

DOPPEL_BACKENDS(mse_loss)
void mse_loss(float* loss, float* dy, const float* y, const float* t, const LossShape& shape, float weight,
              bool accumulate, void* workspace, Stream stream) {
  DOPPEL_PICK(mse_loss, stream)(loss, dy, y, t, shape, weight, accumulate, workspace, stream);
}

DOPPEL_BACKENDS(dssim_workspace)
size_t dssim_workspace(const LossShape& shape, const Dssim& dssim, Stream stream) {
  return DOPPEL_PICK(dssim_workspace, stream)(shape, dssim, stream);
}

DOPPEL_BACKENDS(dssim_loss)
void dssim_loss(float* loss, float* dy, const float* y, const float* t, const LossShape& shape, const Dssim& dssim,
                float weight, bool accumulate, void* workspace, Stream stream) {
  DOPPEL_PICK(dssim_loss, stream)(loss, dy, y, t, shape, dssim, weight, accumulate, workspace, stream);
}

DOPPEL_BACKENDS(total_loss)
void total_loss(float* losses, float l1, float mse, float dssim, Stream stream) {
  DOPPEL_PICK(total_loss, stream)(losses, l1, mse, dssim, stream);
}

}  // namespace doppel
