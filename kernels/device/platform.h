// Who compiles: nvcc (DOPPEL_ON_CARD) or the host's compiler for the emulator, plain or checked (DOPPEL_CHECKED: every
// load and store of the kernel is looked at). Execution-space words and the built-in indices.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/both.h"

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#define DOPPEL_ON_CARD 1
// The namespace of this backend's launchers, kernels/backends.h.
#define DOPPEL_BACKEND on_cuda

#else

#include <source_location>

#include "kernels/emulator/thread.h"

#define DOPPEL_ON_CARD 0
#define DOPPEL_BACKEND on_emulator

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
// A block's size is checked against the architecture when launched; the bound itself only guides ptxas.
#define __launch_bounds__(...)

#define threadIdx (::doppel::emulator::thread_index())
#define blockIdx (::doppel::emulator::block_index())
#define blockDim (::doppel::emulator::block_dim())
#define gridDim (::doppel::emulator::grid_dim())

#endif

namespace doppel {

constexpr int kWarpSize = 32;

// This thread's number in its block, x fastest, as the hardware counts warps.
__device__ __forceinline__ int thread_number() {
  return int(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
}
__device__ __forceinline__ int lane() {
  return thread_number() % kWarpSize;
}
__device__ __forceinline__ int warp() {
  return thread_number() / kWarpSize;
}

}  // namespace doppel
