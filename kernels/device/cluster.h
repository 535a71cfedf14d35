// Blocks that run together on neighbouring multiprocessors and reach into each other's shared memory ("thread block
// cluster", sm_90). A launch asks for them: Geometry::cluster blocks along x are one. PTX ISA 9.7.13.4
// (barrier.cluster), 9.7.9.23 (mapa), 9.7.13.15 (mbarrier), 9.7.13.5 (fence.mbarrier_init).
//
//   cluster_rank()              this block's number in its cluster
//   cluster_arrive()            all threads, whole warps: has come to the cluster's barrier, and lets who waits there
//   know
//                               what it did before; once before each
//   cluster_wait()              until all threads of the cluster that have not left have come
//   fence_mbarrier_init()       who has made mbarriers, before cluster_arrive(): other blocks may use them behind the
//                               cluster_wait(), copies with a multicast mask too (with fence_proxy_async besides)
//   mbarrier_arrive_at(b, rank) arrives at the mbarrier that lies in block `rank` where `b` does in this one
//
// No block may leave while another still reaches into it: cluster_arrive() and cluster_wait() come last, too.
//
// mbarrier_arrive_at() orders this thread's own writes for nobody outside its block: what a consumer tells a producer
// by it is that it has read, and reads are over when their values are there (of wgmma: when it has been waited for).
// Being released to the cluster would have it wait for all that the thread has written to global memory.
#pragma once

#include "kernels/device/mbarrier.h"

namespace doppel {

#if DOPPEL_ON_CARD

__device__ __forceinline__ int cluster_rank() {
#if __CUDA_ARCH__ >= 900
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return int(rank);
#else
  return 0;
#endif
}
__device__ __forceinline__ void cluster_arrive() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#else
  __trap();
#endif
}
__device__ __forceinline__ void cluster_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
  __trap();
#endif
}
__device__ __forceinline__ void fence_mbarrier_init() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#else
  __trap();
#endif
}
__device__ __forceinline__ void mbarrier_arrive_at(MBarrier& b, int rank) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "{ .reg .b32 there; mapa.shared::cluster.u32 there, %0, %1; mbarrier.arrive.shared::cluster.b64 _, [there]; }" ::
          "r"(shared_address(b)),
      "r"(rank)
      : "memory");
#else
  __trap();
#endif
}

#else

inline int cluster_rank() {
  return emulator::cluster_rank();
}
inline void cluster_arrive(std::source_location where = std::source_location::current()) {
  emulator::cluster_arrive(where);
}
inline void cluster_wait(std::source_location where = std::source_location::current()) {
  emulator::cluster_wait(where);
}
inline void fence_mbarrier_init(std::source_location where = std::source_location::current()) {
  emulator::fence_mbarrier_init(where);
}
inline void mbarrier_arrive_at(MBarrier& b, int rank, std::source_location where = std::source_location::current()) {
  emulator::mbarrier_arrive_at(&b, rank, where);
}

#endif

}  // namespace doppel
