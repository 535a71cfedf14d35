// Threads of execution that take turns on one OS thread: a stack each and a hand-written switch between them.
#pragma once

#include <cstddef>

namespace doppel::emulator {

// A suspended point of execution. The OS thread's own is one too (without a stack of ours).
struct Fiber {
  void* stack_pointer = nullptr;
  char* stack = nullptr;  // lowest address
  size_t bytes = 0;
  void* sanitizer = nullptr;  // AddressSanitizer's "fake stack"
};

// `fiber`, which has a stack, will run entry(argument), which must never return, when switched to.
void prepare(Fiber& fiber, void (*entry)(void*), void* argument);

// Leaves `from`, which continues when somebody switches to it, and continues `to`.
void switch_fiber(Fiber& from, Fiber& to);
// First thing in a fiber's entry.
void entered();
// The running OS thread's own stack, to switch from and back to.
Fiber os_thread_fiber();

// Stacks for fibers, each with memory below it that nothing can touch.
class Stacks {
 public:
  Stacks() = default;
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  // More than a frame is large, so that whoever needs too much stack meets it and no other's.
  static constexpr size_t guard_bytes() { return size_t(1) << 20; }

  void give(Fiber& fiber);  // a stack, new or used before
  void take(Fiber& fiber);  // back

 private:
  static constexpr int kMost = 1024;
  char* free_[kMost];
  int free_count_ = 0;
  char* all_[kMost];
  int count_ = 0;
};

}  // namespace doppel::emulator
