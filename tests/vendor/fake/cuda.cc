// The few functions of CUDA's runtime that kernels/vendor calls, on host memory, as if there was a card.
#include <cuda_runtime_api.h>

#include <cstring>

#include "vendor/fake/fake.h"

bool doppel::fake::card_is_lost = false;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorIllegalAddress ? "an illegal address" : "a failure";
}
// A card that has failed reports the same for ever.
cudaError_t cudaGetLastError() {
  return doppel::fake::card_is_lost ? cudaErrorIllegalAddress : cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpy3DAsync(const cudaMemcpy3DParms* p, cudaStream_t) {
  const auto row = [](const cudaPitchedPtr& memory, const cudaPos& at, size_t z, size_t y) {
    return static_cast<char*>(memory.ptr) + ((at.z + z) * memory.ysize + at.y + y) * memory.pitch + at.x;
  };
  if (p->srcPos.x + p->extent.width > p->srcPtr.pitch || p->dstPos.x + p->extent.width > p->dstPtr.pitch ||
      p->srcPos.y + p->extent.height > p->srcPtr.ysize || p->dstPos.y + p->extent.height > p->dstPtr.ysize)
    return cudaErrorInvalidValue;
  for (size_t z = 0; z < p->extent.depth; ++z)
    for (size_t y = 0; y < p->extent.height; ++y)
      std::memcpy(row(p->dstPtr, p->dstPos, z, y), row(p->srcPtr, p->srcPos, z, y), p->extent.width);
  return cudaSuccess;
}

}  // extern "C"
