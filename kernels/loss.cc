#include "kernels/loss.h"

#include <stdexcept>

#include "kernels/backends.h"

namespace doppel {

DOPPEL_BACKENDS(pointwise_loss_workspace)
size_t pointwise_loss_workspace(const LossShape& shape, Stream stream) {
  return DOPPEL_PICK(pointwise_loss_workspace, stream)(shape, stream);
}

DOPPEL_BACKENDS(l1_loss)
void l1_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
             float weight, bool accumulate, void* workspace, Stream stream) {
  DOPPEL_PICK(l1_loss, stream)(loss, dy, y, t, mask, shape, weight, accumulate, workspace, stream);
}

DOPPEL_BACKENDS(mse_loss)
void mse_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
              float weight, bool accumulate, void* workspace, Stream stream) {
  DOPPEL_PICK(mse_loss, stream)(loss, dy, y, t, mask, shape, weight, accumulate, workspace, stream);
}

void check(const DssimScales& scales, const LossShape& shape) {
  if (scales.count < 1 || scales.count > kMaxDssimScales) throw std::invalid_argument("dssim: 1 to 3 scales");
  for (int i = 0; i < scales.count; ++i) {
    const int window = scales.scale[i].window;
    if (window % 2 == 0 || window < 3 || window > kMaxDssimWindow || window > std::min(shape.h, shape.w))
      throw std::invalid_argument("dssim: a window must be odd, 3 to 23, and fit into the picture");
  }
}

DOPPEL_BACKENDS(dssim_workspace)
size_t dssim_workspace(const LossShape& shape, const DssimScales& scales, Stream stream) {
  check(scales, shape);
  return DOPPEL_PICK(dssim_workspace, stream)(shape, scales, stream);
}

DOPPEL_BACKENDS(dssim_loss)
void dssim_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
                const DssimScales& scales, float weight, bool accumulate, void* workspace, Stream stream) {
  check(scales, shape);
  DOPPEL_PICK(dssim_loss, stream)(loss, dy, y, t, mask, shape, scales, weight, accumulate, workspace, stream);
}

DOPPEL_BACKENDS(total_loss)
void total_loss(float* losses, float l1, float mse, float dssim, Stream stream) {
  DOPPEL_PICK(total_loss, stream)(losses, l1, mse, dssim, stream);
}

}  // namespace doppel
