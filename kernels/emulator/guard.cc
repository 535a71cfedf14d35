#include "kernels/emulator/guard.h"

#include <sys/mman.h>

#include <map>
#include <mutex>
#include <stdexcept>

namespace doppel::emulator {
namespace {

struct Guarded {
  std::mutex mutex;
  std::map<void*, size_t> regions;
  int open = 0;  // OpenMemory that live
};

Guarded& guarded() {
  static Guarded g;
  return g;
}

void protect(void* begin, size_t bytes, bool open) {
  if (mprotect(begin, bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
    throw std::runtime_error("the system does not let the emulator guard its memory");
}

}  // namespace

bool& guard_new_memory() {
  static bool on = false;
  return on;
}

void guard_memory(void* begin, size_t bytes) {
  Guarded& g = guarded();
  const std::lock_guard lock(g.mutex);
  protect(begin, bytes, g.open > 0);
  g.regions[begin] = bytes;
}

void unguard_memory(void* begin) {
  Guarded& g = guarded();
  const std::lock_guard lock(g.mutex);
  const auto found = g.regions.find(begin);
  if (found == g.regions.end()) return;
  protect(begin, found->second, true);
  g.regions.erase(found);
}

OpenMemory::OpenMemory() {
  Guarded& g = guarded();
  const std::lock_guard lock(g.mutex);
  if (g.open++ == 0)
    for (const auto& [begin, bytes] : g.regions) protect(begin, bytes, true);
}

OpenMemory::~OpenMemory() {
  Guarded& g = guarded();
  const std::lock_guard lock(g.mutex);
  if (--g.open == 0)
    for (const auto& [begin, bytes] : g.regions) protect(begin, bytes, false);
}

}  // namespace doppel::emulator
