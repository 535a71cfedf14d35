#include "kernels/emulator/overflow.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>

#include "kernels/emulator/block.h"

namespace doppel::emulator {

#if defined(__SANITIZE_ADDRESS__)

void report_overflows() {}
SignalStack::SignalStack() = default;
SignalStack::~SignalStack() = default;

#else

namespace {

constexpr size_t kSignalStackBytes = size_t(64) << 10;

struct sigaction before;

void on_fault(int, siginfo_t* info, void*) {
  if (Block* block = running_block()) {
    const Thread& t = block->current();
    const auto* at = static_cast<const char*>(info->si_addr);
    if (t.fiber.stack && at >= t.fiber.stack - Stacks::guard_bytes() && at < t.fiber.stack) {
      // Nothing here may allocate.
      char text[512];
      const int count = std::snprintf(text, sizeof(text),
                                      "doppel: stack overflow: kernel %s block (%u,%u,%u) thread (%u,%u,%u) needs more "
                                      "than the emulator's %zu bytes for its local variables\n",
                                      block->launch().kernel, block->block.x, block->block.y, block->block.z,
                                      t.thread.x, t.thread.y, t.thread.z, t.fiber.bytes);
      const size_t bytes = count < int(sizeof(text)) ? size_t(count) : sizeof(text) - 1;
      if (write(STDERR_FILENO, text, bytes) < 0) _exit(1);
    }
  }
  sigaction(SIGSEGV, &before, nullptr);  // which the same instruction meets again
}

}  // namespace

void report_overflows() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  struct sigaction now;
  if (sigaction(SIGSEGV, nullptr, &now) != 0 || ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault)) return;
  before = now;
  struct sigaction ours {};
  ours.sa_sigaction = on_fault;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &ours, nullptr);
}

SignalStack::SignalStack() {
  stack_t now;
  if (sigaltstack(nullptr, &now) != 0 || !(now.ss_flags & SS_DISABLE)) return;  // there is one
  memory_ = new char[kSignalStackBytes];
  stack_t ours{};
  ours.ss_sp = memory_;
  ours.ss_size = kSignalStackBytes;
  sigaltstack(&ours, nullptr);
}

SignalStack::~SignalStack() {
  stack_t now;
  if (memory_ && sigaltstack(nullptr, &now) == 0 && now.ss_sp == memory_) {
    stack_t off{};
    off.ss_flags = SS_DISABLE;
    sigaltstack(&off, nullptr);
  }
  delete[] memory_;
}

#endif

}  // namespace doppel::emulator
