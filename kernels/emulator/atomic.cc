#include <atomic>
#include <cstring>

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

// After an operation that found `old` and left `now`. Who finds again what it found before, and changes nothing, waits
// for somebody: the threads of a block run by turns, and only here can it let them.
template <typename T>
void take_turns(const T* address, T old, T now, Where where) {
  Block& block = *running_block();
  Poll poll{address, 0};
  std::memcpy(&poll.found, &old, sizeof(T));
  const bool same = std::memcmp(&old, &now, sizeof(T)) == 0;
  if (!same) block.progress();
  Poll& last = block.current().poll;
  const bool again = same && last.address == address && last.found == poll.found;
  last = same ? poll : Poll{};
  if (again) block.give_way(where);
}

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
  T old;
  {
    const Watch watch(address, sizeof(T), where);
    std::atomic_ref<T> cell(*address);
    old = cell.load();
    while (!cell.compare_exchange_weak(old, combine(op, old, value))) {
    }
  }
  take_turns(address, old, combine(op, old, value), where);
  return old;
}

template <typename T>
T atomic_compare_and_swap(T* address, T expected, T value, Where where) {
  T old = expected;
  bool done;
  {
    const Watch watch(address, sizeof(T), where);
    done = std::atomic_ref<T>(*address).compare_exchange_strong(old, value);
  }
  take_turns(address, old, done ? value : old, where);
  return old;
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
