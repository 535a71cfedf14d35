// A thread of a kernel that needs more stack than it has touches the pages below it, which nobody may. The process dies
// of that; this says first of which kernel.
#pragma once

#include <cstddef>

namespace doppel::emulator {

// Has overflows of this process reported from now on, on stderr. What handled SIGSEGV before handles it after that, and
// alone where no stack of ours has overflowed. Nothing under AddressSanitizer, which reports them itself.
void report_overflows();

// Where a report is made, for the fibers of one OS thread: made, used and destroyed there.
class SignalStack {
 public:
  SignalStack();
  ~SignalStack();
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  char* memory_ = nullptr;
};

}  // namespace doppel::emulator
