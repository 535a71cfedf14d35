#include "kernels/adam.h"

#include "kernels/backends.h"

namespace doppel {

DOPPEL_BACKENDS(adam)
void adam(const AdamRange& range, const float* norm, const StepState* state, const AdamOptions& options,
          Stream stream) {
  DOPPEL_PICK(adam, stream)(range, norm, state, options, stream);
}

DOPPEL_BACKENDS(global_norm_workspace)
size_t global_norm_workspace(int64_t count, Stream stream) {
  return DOPPEL_PICK(global_norm_workspace, stream)(count, stream);
}

DOPPEL_BACKENDS(global_norm)
void global_norm(float* norm, const float* g, int64_t count, void* workspace, Stream stream) {
  DOPPEL_PICK(global_norm, stream)(norm, g, count, workspace, stream);
}

DOPPEL_BACKENDS(advance)
void advance(StepState* state, Stream stream) {
  DOPPEL_PICK(advance, stream)(state, stream);
}

DOPPEL_BACKENDS(first_nonfinite)
int64_t first_nonfinite(const void* x, int64_t count, DType type, Stream stream) {
  return DOPPEL_PICK(first_nonfinite, stream)(x, count, type, stream);
}

}  // namespace doppel
