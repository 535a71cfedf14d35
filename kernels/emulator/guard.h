// For tests: memory of the emulated device that the host's code cannot touch, as it cannot touch a card's. Its pages
// are closed except while a kernel runs or an OpenMemory lives, so that a copy that somebody forgot crashes in a test
// and not on the first card.
#pragma once

#include <cstddef>

namespace doppel::emulator {

// Whether memory that is announced from now on shall be guarded (runtime/buffer.h asks); off from the start.
bool& guard_new_memory();

// `begin` is the start of a page, and the memory to the end of its last page is the caller's. Closes it. Throws
// std::runtime_error when the system refuses.
void guard_memory(void* begin, size_t bytes);
// Opens it for good; nothing when it is not guarded.
void unguard_memory(void* begin);

// Opens all guarded memory while it lives. Nests; of any thread.
class OpenMemory {
 public:
  OpenMemory();
  ~OpenMemory();
  OpenMemory(const OpenMemory&) = delete;
  OpenMemory& operator=(const OpenMemory&) = delete;
};

}  // namespace doppel::emulator
