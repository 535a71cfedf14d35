#include "runtime/interrupt.h"

#include <unistd.h>
#include <csignal>

namespace doppel {
namespace {

volatile std::sig_atomic_t g_signals = 0;

void on_signal(int) {
  g_signals = g_signals + 1;
  if (g_signals >= 3) _exit(130);
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
