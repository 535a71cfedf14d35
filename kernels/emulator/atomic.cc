#include <atomic>

#include "kernels/device/atomic.h"
#include "kernels/emulator/block.h"
#include "kernels/emulator/checker.h"

namespace doppel::emulator {
namespace {

// Around one operation.
class Watch {
 public:
  Watch(const void* address, size_t bytes, Where where) : address_(address) {
    check_aligned(address, bytes, where);
    if (!checker) return;
    checker->access(*running_block(), address, bytes, Access::atomic, where);
    checker->before_atomic(*running_block(), address);
  }
  ~Watch() {
    if (checker) checker->after_atomic(*running_block(), address_);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  const void* address_;
};

template <typename T>
T combine(AtomicOp op, T old, T value) {
  switch (op) {
    case AtomicOp::add:
      return T(old + value);
    case AtomicOp::min:
      return value < old ? value : old;
    case AtomicOp::max:
      return value > old ? value : old;
    case AtomicOp::exchange:
      return value;
    default:
      break;
  }
  if constexpr (std::is_integral_v<T>) return op == AtomicOp::bit_or ? T(old | value) : T(old & value);
  return old;
}

}  // namespace

template <typename T>
T atomic(AtomicOp op, T* address, T value, Where where) {
  const Watch watch(address, sizeof(T), where);
  std::atomic_ref<T> cell(*address);
  T old = cell.load();
  while (!cell.compare_exchange_weak(old, combine(op, old, value))) {
  }
  return old;
}

template <typename T>
T atomic_compare_and_swap(T* address, T expected, T value, Where where) {
  const Watch watch(address, sizeof(T), where);
  std::atomic_ref<T>(*address).compare_exchange_strong(expected, value);
  return expected;
}

void fence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (checker) checker->fence(*running_block());
}

#define DOPPEL_ATOMIC(T)                        \
  template T atomic<T>(AtomicOp, T*, T, Where); \
  template T atomic_compare_and_swap<T>(T*, T, T, Where);
DOPPEL_ATOMIC(int)
DOPPEL_ATOMIC(unsigned)
DOPPEL_ATOMIC(unsigned long long)
DOPPEL_ATOMIC(float)
DOPPEL_ATOMIC(double)
#undef DOPPEL_ATOMIC

}  // namespace doppel::emulator
