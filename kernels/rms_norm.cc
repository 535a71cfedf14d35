#include "kernels/rms_norm.h"

#include "kernels/backends.h"

namespace doppel {

DOPPEL_BACKENDS(rms_norm_forward)
void rms_norm_forward(void* y, const void* x, const RmsNorm& norm, Stream stream) {
  DOPPEL_PICK(rms_norm_forward, stream)(y, x, norm, stream);
}

DOPPEL_BACKENDS(rms_norm_backward)
void rms_norm_backward(void* dx, const void* dy, const void* x, const RmsNorm& norm, Stream stream) {
  DOPPEL_PICK(rms_norm_backward, stream)(dx, dy, x, norm, stream);
}

}  // namespace doppel
