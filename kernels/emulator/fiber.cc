#include "kernels/emulator/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define DOPPEL_ASAN 1
#else
#define DOPPEL_ASAN 0
#endif

// void doppel_switch_stack(void** save, void* load): stores what a call must preserve (System V ABI x86-64, AAPCS64) on
// this stack, its pointer in *save, and continues on the stack `load`, which was left in the same way.
#if defined(__x86_64__)
asm(R"(
  .text
  .globl doppel_switch_stack
  .hidden doppel_switch_stack
  .type doppel_switch_stack, @function
doppel_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size doppel_switch_stack, .-doppel_switch_stack

  .globl doppel_start_fiber
  .hidden doppel_start_fiber
  .type doppel_start_fiber, @function
doppel_start_fiber:
  .cfi_startproc
  .cfi_undefined rip
  movq %r12, %rdi
  callq *%r13
  ud2
  .cfi_endproc
  .size doppel_start_fiber, .-doppel_start_fiber
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl doppel_switch_stack
  .hidden doppel_switch_stack
  .type doppel_switch_stack, @function
doppel_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size doppel_switch_stack, .-doppel_switch_stack

  .globl doppel_start_fiber
  .hidden doppel_start_fiber
  .type doppel_start_fiber, @function
doppel_start_fiber:
  .cfi_startproc
  .cfi_undefined x30
  mov x0, x19
  blr x20
  brk #1
  .cfi_endproc
  .size doppel_start_fiber, .-doppel_start_fiber
)");
#else
#error "the emulator's fibers need a stack switch for this processor"
#endif

extern "C" void doppel_switch_stack(void** save, void* load);
extern "C" void doppel_start_fiber();

namespace doppel::emulator {
namespace {

// AddressSanitizer's frames are several times as large.
constexpr size_t kStackBytes = DOPPEL_ASAN ? size_t(512) << 10 : size_t(128) << 10;

}  // namespace

void prepare(Fiber& fiber, void (*entry)(void*), void* argument) {
  auto** top = reinterpret_cast<void**>(fiber.stack + fiber.bytes);
#if defined(__x86_64__)
  // From the top: a zero where a caller's return address would be (and the alignment that a call expects), then what
  // doppel_switch_stack pops: r15, r14, r13, r12, rbx, rbp, return address.
  *--top = nullptr;
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&doppel_start_fiber);
  *--top = nullptr;                         // rbp
  *--top = nullptr;                         // rbx
  *--top = argument;                        // r12
  *--top = reinterpret_cast<void*>(entry);  // r13
  *--top = nullptr;                         // r14
  *--top = nullptr;                         // r15
#else
  top -= 20;
  for (int i = 0; i < 20; ++i) top[i] = nullptr;
  top[0] = argument;                                       // x19
  top[1] = reinterpret_cast<void*>(entry);                 // x20
  top[11] = reinterpret_cast<void*>(&doppel_start_fiber);  // x30
#endif
  fiber.stack_pointer = top;
}

void switch_fiber(Fiber& from, Fiber& to) {
#if DOPPEL_ASAN
  __sanitizer_start_switch_fiber(&from.sanitizer, to.stack, to.bytes);
  doppel_switch_stack(&from.stack_pointer, to.stack_pointer);
  __sanitizer_finish_switch_fiber(from.sanitizer, nullptr, nullptr);
#else
  doppel_switch_stack(&from.stack_pointer, to.stack_pointer);
#endif
}

void entered() {
#if DOPPEL_ASAN
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

Fiber os_thread_fiber() {
  Fiber fiber;
#if DOPPEL_ASAN
  pthread_attr_t attributes;
  void* stack = nullptr;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &stack, &fiber.bytes);
    pthread_attr_destroy(&attributes);
  }
  fiber.stack = static_cast<char*>(stack);
#endif
  return fiber;
}

Stacks::~Stacks() {
  for (int i = 0; i < count_; ++i) munmap(all_[i], kStackBytes + guard_bytes());
}

void Stacks::give(Fiber& fiber) {
  if (free_count_ == 0) {
    void* memory = count_ == kMost ? MAP_FAILED
                                   : mmap(nullptr, kStackBytes + guard_bytes(), PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, guard_bytes(), PROT_NONE);
    all_[count_++] = static_cast<char*>(memory);
    free_[free_count_++] = static_cast<char*>(memory);
  }
  fiber.stack = free_[--free_count_] + guard_bytes();
  fiber.bytes = kStackBytes;
  fiber.sanitizer = nullptr;
#if DOPPEL_ASAN
  // Frames that were left and never returned from have their redzones still.
  ASAN_UNPOISON_MEMORY_REGION(fiber.stack, fiber.bytes);
#endif
}

void Stacks::take(Fiber& fiber) {
  free_[free_count_++] = fiber.stack - guard_bytes();
  fiber.stack = nullptr;
}

}  // namespace doppel::emulator
