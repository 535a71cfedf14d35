#include "kernels/pixel_shuffle.h"

#include "kernels/backends.h"

namespace doppel {

DOPPEL_BACKENDS(pixel_shuffle_forward)
void pixel_shuffle_forward(void* y, const void* x, const PixelShuffle& p, Stream stream) {
  DOPPEL_PICK(pixel_shuffle_forward, stream)(y, x, p, stream);
}

DOPPEL_BACKENDS(pixel_shuffle_backward)
void pixel_shuffle_backward(void* dx, const void* dy, const PixelShuffle& p, Stream stream) {
  DOPPEL_PICK(pixel_shuffle_backward, stream)(dx, dy, p, stream);
}

}  // namespace doppel
