// Barriers of a block and of a warp.
//
//   __syncthreads()            all threads of the block (CUDA C++)
//   __syncwarp(mask)           the lanes of `mask` (CUDA C++); orders their memory accesses
//   barrier_sync(id, threads)  waits until `threads` threads have come to barrier `id`      PTX ISA 9.7.13.1, bar.sync
//   barrier_arrive(id, threads)  comes to the barrier and does not wait                     PTX ISA 9.7.13.1,
//   bar.arrive
//
// 1 <= id <= 15 (0 is __syncthreads), `threads` is a multiple of 32, and whole warps come. A block's threads must not
// leave the kernel before its last __syncthreads().
#pragma once

#include "kernels/device/platform.h"

#if !DOPPEL_ON_CARD

inline void __syncthreads(std::source_location where = std::source_location::current()) {
  doppel::emulator::barrier(0, 0, true, where);
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, std::source_location where = std::source_location::current()) {
  doppel::emulator::sync_warp(mask, where);
}

#endif

namespace doppel {

#if DOPPEL_ON_CARD

__device__ __forceinline__ void barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

#else

inline void barrier_sync(int id, int threads, std::source_location where = std::source_location::current()) {
  emulator::barrier(id, threads, true, where);
}
inline void barrier_arrive(int id, int threads, std::source_location where = std::source_location::current()) {
  emulator::barrier(id, threads, false, where);
}

#endif

}  // namespace doppel
