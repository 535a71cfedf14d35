// CUDA's atomics on global and shared memory by their own names, and its fences. Sums of floats in an order that
// changes from run to run are not bitwise repeatable: kernels use atomics for integers, minima and counters.
#pragma once

#include <type_traits>

#include "kernels/device/platform.h"

#if !DOPPEL_ON_CARD

namespace doppel::emulator {

enum class AtomicOp { add, min, max, exchange, bit_or, bit_and };

// For int, unsigned, unsigned long long, float and double; kernels/emulator/atomic.cc. Each returns the old value.
template <typename T>
T atomic(AtomicOp op, T* address, T value, std::source_location where);
template <typename T>
T atomic_compare_and_swap(T* address, T expected, T value, std::source_location where);
void fence();

}  // namespace doppel::emulator

#define DOPPEL_ATOMIC(name, op)                                                                                     \
  template <typename T>                                                                                             \
  T name(T* address, std::type_identity_t<T> value, std::source_location where = std::source_location::current()) { \
    return doppel::emulator::atomic(doppel::emulator::AtomicOp::op, address, value, where);                         \
  }
DOPPEL_ATOMIC(atomicAdd, add)
DOPPEL_ATOMIC(atomicMin, min)
DOPPEL_ATOMIC(atomicMax, max)
DOPPEL_ATOMIC(atomicExch, exchange)
DOPPEL_ATOMIC(atomicOr, bit_or)
DOPPEL_ATOMIC(atomicAnd, bit_and)
#undef DOPPEL_ATOMIC

template <typename T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value,
            std::source_location where = std::source_location::current()) {
  return doppel::emulator::atomic_compare_and_swap(address, expected, value, where);
}

// What this thread wrote is seen by whoever then sees an atomic operation of it; with the second, by threads of this
// block alone, which on the emulator see it anyway: nothing is published to other blocks.
inline void __threadfence() {
  doppel::emulator::fence();
}
inline void __threadfence_block() {
  asm volatile("" ::: "memory");
}

#endif
