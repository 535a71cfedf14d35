// How runtime/card/cuda*.cc call the CUDA runtime. Private to them.
#pragma once

#if defined(DOPPEL_CUDA)

#include <cuda_runtime_api.h>

#include <cstddef>

namespace doppel::card {

// Throws where `status` is an error: OutOfMemory or DeviceError, with the call, the file and the line.
void check(cudaError_t status, const char* expression, const char* file, int line);

#define CHECK_CUDA(expression) ::doppel::card::check((expression), #expression, __FILE__, __LINE__)

// What destructors call. There is no error that somebody could act upon: what is given back is ours to give, so that an
// error here is that of earlier work, which every call reports once a kernel or the card has failed. Whoever waits for
// that work is told; the memory has gone with the card's context. The call returns at once then, and does not hang.
void give_back(cudaError_t status);

// Makes the process's card that of this thread.
void enter();

// The pool that cudaMallocAsync takes from; null where the driver has none (cudaDevAttrMemoryPoolsSupported), and on a
// card that has failed.
cudaMemPool_t pool_of_card();

// What CUDA calls free, and what our pool holds of what is not. 0 when nobody can say: this serves error texts.
size_t free_or_ours();

inline cudaStream_t stream_of(void* handle) {
  return static_cast<cudaStream_t>(handle);
}
inline cudaEvent_t event_of(void* handle) {
  return static_cast<cudaEvent_t>(handle);
}

}  // namespace doppel::card

#endif
