// Barriers that lie in shared memory and count arrivals and bytes: for pipelines of producers and consumers.
// PTX ISA 9.7.13.15, mbarrier.
//
//   DOPPEL_SHARED(MBarrier, full, [kStages]);
//   mbarrier_init(full[s], count);       // one thread, once, then a barrier of the block: `count` arrivals end a phase
//   fence_proxy_async();                 // the same thread, before that barrier, if bulk copies shall count on it
//   mbarrier_arrive(full[s]);            // releases what this thread did before
//   mbarrier_expect_tx(full[s], bytes);  // arrives; the phase also waits for `bytes` of bulk copies (sm_90)
//   mbarrier_wait(full[s], parity);      // until the phase of this parity (0 first, then 1, 0, ..) is over; acquires
//   mbarrier_wait_watched(full[s], parity);  // the same, a register cheaper: below
//   copy_async_arrive(full[s]);          // arrives once all copy_async of this thread so far are done
//   copy_bulk(to, from, bytes, full[s]); // one thread: global to shared, counted on the barrier (sm_90); addresses and
//                                        // bytes are multiples of 16
//
// The bytes that a phase expects and those that are copied must be the same number when its arrivals are there: with
// too many or too few the phase never ends. At most 2^20 - 1 at a time.
//
// What never ends is a deadlock on the emulator, which says so; on a card mbarrier_wait() gives up after some ten
// seconds and ends the kernel with an error. mbarrier_wait_watched() does not: it is for threads without a register to
// spare, in a block of which some thread waits with mbarrier_wait() for what they do afterwards.
//
// fence_proxy_async() orders what this thread did before, ordinary stores to shared memory and mbarrier_init, before
// what hardware does past the thread's own accesses (the "async proxy": bulk copies, wgmma) for those who come after a
// later barrier. PTX ISA 9.7.13.4, fence.proxy.async (sm_90).
#pragma once

#include "kernels/device/platform.h"

namespace doppel {

struct alignas(8) MBarrier {
  uint64_t state;
};

#if DOPPEL_ON_CARD

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return uint32_t(__cvta_generic_to_shared(p));
}
__device__ __forceinline__ uint32_t shared_address(const MBarrier& b) {
  return shared_address(&b);
}
__device__ __forceinline__ void fence_proxy_async() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#else
  __trap();
#endif
}
__device__ __forceinline__ void mbarrier_init(MBarrier& b, int count) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive(MBarrier& b) {
  asm volatile("{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" ::"r"(shared_address(b)) : "memory");
}
__device__ __forceinline__ void copy_async_arrive(MBarrier& b) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(b)) : "memory");
}
// True when the phase is over. From sm_90 on the hardware may let the thread sleep meanwhile.
__device__ __forceinline__ bool mbarrier_try_wait(MBarrier& b, int parity) {
  uint32_t done;
#if __CUDA_ARCH__ >= 900
  asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
               : "=r"(done)
               : "r"(shared_address(b)), "r"(parity)
               : "memory");
#else
  // test_wait with a parity is PTX 7.1, sm_80.
  asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
               : "=r"(done)
               : "r"(shared_address(b)), "r"(parity)
               : "memory");
#endif
  return done != 0;
}
// The upper half of the multiprocessor's clock: another one every 2^32 cycles, 2 to 4 seconds.
__device__ __forceinline__ int mbarrier_clock() {
  int high;
  asm volatile("mov.u32 %0, %%clock_hi;" : "=r"(high));
  return high;
}
// A block waits for itself alone, milliseconds at most. After many seconds it never will have what it waits for (a
// wrong number of bytes, a lost arrival): the kernel then ends with an error, of which the host is told, instead of
// keeping the card for ever. So it does under a debugger, which stops the threads and not the clock. A clock that has
// gone back, as after the machine slept, ends nothing.
__device__ __forceinline__ void mbarrier_wait(MBarrier& b, int parity) {
  constexpr int kMost = 4;
  if (mbarrier_try_wait(b, parity)) return;
  const int begin = mbarrier_clock();
  while (!mbarrier_try_wait(b, parity))
    if (mbarrier_clock() - begin > kMost) __trap();
}
__device__ __forceinline__ void mbarrier_wait_watched(MBarrier& b, int parity) {
  while (!mbarrier_try_wait(b, parity)) {
  }
}
__device__ __forceinline__ void mbarrier_expect_tx(MBarrier& b, int bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("{ .reg .b64 state; mbarrier.arrive.expect_tx.shared.b64 state, [%0], %1; }" ::"r"(shared_address(b)),
               "r"(bytes)
               : "memory");
#else
  __trap();
#endif
}
__device__ __forceinline__ void copy_bulk(void* to, const void* from, int bytes, MBarrier& b) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(to)),
               "l"(from), "r"(bytes), "r"(shared_address(b))
               : "memory");
#else
  __trap();
#endif
}

#else

#define DOPPEL_WHERE std::source_location where = std::source_location::current()

inline uint32_t shared_address(const void* p) {
  return emulator::shared_address(p);
}
inline void fence_proxy_async(DOPPEL_WHERE) {
  emulator::fence_proxy_async(where);
}
inline void mbarrier_init(MBarrier& b, int count, DOPPEL_WHERE) {
  emulator::mbarrier_init(&b, count, where);
}
inline void mbarrier_arrive(MBarrier& b, DOPPEL_WHERE) {
  emulator::mbarrier_arrive(&b, 0, where);
}
inline void mbarrier_expect_tx(MBarrier& b, int bytes, DOPPEL_WHERE) {
  emulator::mbarrier_arrive(&b, bytes, where);
}
inline void copy_async_arrive(MBarrier& b, DOPPEL_WHERE) {
  emulator::copy_async_arrive(&b, where);
}
// Comes back only when the phase is over, so that a wait that never ends is reported as a deadlock.
inline bool mbarrier_try_wait(MBarrier& b, int parity, DOPPEL_WHERE) {
  emulator::mbarrier_wait(&b, parity, where);
  return true;
}
inline void mbarrier_wait(MBarrier& b, int parity, DOPPEL_WHERE) {
  emulator::mbarrier_wait(&b, parity, where);
}
inline void mbarrier_wait_watched(MBarrier& b, int parity, DOPPEL_WHERE) {
  emulator::mbarrier_wait(&b, parity, where);
}
inline void copy_bulk(void* to, const void* from, int bytes, MBarrier& b, DOPPEL_WHERE) {
  emulator::copy_bulk(to, from, bytes, &b, where);
}

#undef DOPPEL_WHERE

#endif

}  // namespace doppel
