// One access to a byte, as the checked build remembers it.
#pragma once

#include <cstdint>

namespace doppel::emulator {

// A place in the program: an offset from its start. Code addresses and source locations both fit (location.h).
using Place = uint32_t;

struct Touch {
  Place place;
  uint32_t block;  // serial number; 0: nobody
  uint32_t clock;  // the thread's, at that time
  uint16_t thread;
  bool atomic : 1;
  bool under_way : 1;  // an asynchronous copy that has not arrived
  bool bulk : 1;       // by a bulk copy: needs no fence_proxy_async
};
static_assert(sizeof(Touch) == 16);

}  // namespace doppel::emulator
