// Copies from global to shared memory that go on while the thread works on.
//
//   copy_async<Bytes>(to, from, valid);  // issues; Bytes is 4, 8 or 16, both addresses multiples of it. Only `valid`
//                                        // bytes are read, the rest of the Bytes is written as 0 (from is not read
//                                        // when valid is 0, but must be aligned).
//   copy_async_commit();                 // what this thread issued since the last commit becomes one group
//   copy_async_wait<N>();                // until at most the N youngest groups of this thread are under way
//
// The data is there only after the wait, and then only for this thread: others need a barrier as well. On the emulator
// it arrives in the wait and no earlier, so that a kernel that forgets the wait reads what was there before.
// PTX ISA 9.7.9.25.3: cp.async (cache levels: .cg for 16 bytes, .ca else), cp.async.commit_group, cp.async.wait_group
// (sm_80).
#pragma once

#include "kernels/device/platform.h"

namespace doppel {

#if DOPPEL_ON_CARD

template <int Bytes>
__device__ __forceinline__ void copy_async(void* to, const void* from, int valid = Bytes) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "4, 8 or 16 bytes");
  const uint32_t address = uint32_t(__cvta_generic_to_shared(to));
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(valid) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(from), "n"(Bytes), "r"(valid)
                 : "memory");
}
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int Groups>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Groups) : "memory");
}

#else

template <int Bytes>
void copy_async(void* to, const void* from, int valid = Bytes,
                std::source_location where = std::source_location::current()) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "4, 8 or 16 bytes");
  emulator::copy_async(to, from, Bytes, valid, where);
}
inline void copy_async_commit() {
  emulator::copy_async_commit();
}
template <int Groups>
void copy_async_wait() {
  emulator::copy_async_wait(Groups);
}

#endif

}  // namespace doppel
