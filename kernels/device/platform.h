// Who compiles: nvcc (DOPPEL_ON_CARD) or the host's compiler for the emulator, plain or checked (DOPPEL_CHECKED: every
// load and store of the kernel is looked at). Execution-space words and the built-in indices.
//
// A kernel is declared with its launch bounds, the most threads of a block and, if it matters, the least blocks of a
// processor:
//
//   template <typename T>
//   DOPPEL_GLOBAL((kThreads), map, T* y, const T* x, int64_t count) {   // or ((kThreads, kBlocks), map, ...
//
// which nvcc sees as  __global__ void __launch_bounds__(kThreads) map(T* y, const T* x, int64_t count).  On the host
// the bounds are the type of an unnamed first parameter, where the launch finds them (kernels/device/launch.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/both.h"

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#define DOPPEL_ON_CARD 1
// The namespace of this backend's launchers, kernels/backends.h.
#define DOPPEL_BACKEND on_cuda

#define DOPPEL_GLOBAL(bounds, name, ...) __global__ void __launch_bounds__ bounds name(__VA_ARGS__)

#else

#include <source_location>

#include "kernels/emulator/thread.h"

#define DOPPEL_ON_CARD 0
#define DOPPEL_BACKEND on_emulator

#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))

#define DOPPEL_GLOBAL(bounds, name, ...) \
  void name(::doppel::emulator::Bounds<DOPPEL_WITHOUT_BRACKETS bounds> __VA_OPT__(, ) __VA_ARGS__)
#define DOPPEL_WITHOUT_BRACKETS(...) __VA_ARGS__

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
