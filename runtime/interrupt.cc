#include "runtime/interrupt.h"

#include <unistd.h>
#include <atomic>
#include <csignal>

namespace doppel {
namespace {

// A signal may come in any thread, and two at once in two.
std::atomic<int> g_signals{0};
static_assert(std::atomic<int>::is_always_lock_free);

void on_signal(int) {
  if (++g_signals >= 3) _exit(130);
}

}  // namespace

void catch_interrupts() {
  g_signals = 0;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() {
  return g_signals != 0;
}

}  // namespace doppel
