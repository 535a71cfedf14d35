#include "kernels/activation.h"

#include "kernels/backends.h"

namespace doppel {

DOPPEL_BACKENDS(activation_forward)
void activation_forward(void* y, const void* x, int64_t count, DType type, Activation f, float slope, Stream stream) {
  DOPPEL_PICK(activation_forward, stream)(y, x, count, type, f, slope, stream);
}

DOPPEL_BACKENDS(activation_backward)
void activation_backward(void* dx, const void* dy, const void* saved, int64_t count, DType type, Activation f,
                         float slope, Stream stream) {
  DOPPEL_PICK(activation_backward, stream)(dx, dy, saved, count, type, f, slope, stream);
}

DOPPEL_BACKENDS(add_activation_forward)
void add_activation_forward(void* y, const void* a, const void* b, int64_t count, DType type, Activation f, float slope,
                            Stream stream) {
  DOPPEL_PICK(add_activation_forward, stream)(y, a, b, count, type, f, slope, stream);
}

DOPPEL_BACKENDS(accumulate)
void accumulate(void* y, const void* x, int64_t count, DType type, Stream stream) {
  DOPPEL_PICK(accumulate, stream)(y, x, count, type, stream);
}

DOPPEL_BACKENDS(cast_to_bf16)
void cast_to_bf16(Bf16* y, const float* x, int64_t count, Stream stream) {
  DOPPEL_PICK(cast_to_bf16, stream)(y, x, count, stream);
}

}  // namespace doppel
