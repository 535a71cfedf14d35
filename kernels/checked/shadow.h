// What the checked build remembers of each byte that kernels use: who wrote it last, who has read it since. Two
// accesses of different threads, one of them a write, are a race unless the first happens before the second; that order
// comes from barriers, __syncwarp and mbarriers alone (within a block), from fences and atomics (between blocks).
//
// Happens-before is kept as vector clocks (Mattern 1989; the compact form for memory follows Flanagan and Freund,
// "FastTrack", 2009): every thread counts the barriers that it has come to; what a thread knows of the others' counts
// is one vector, shared by all who left the same barrier.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

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

// Of two threads that read side by side both are kept, of more than two a random pair: a race with the others is then
// found on another byte.
struct Cell {
  Touch write;
  Touch reads[2];
};

// Zeroed cells that cost nothing until touched.
struct FreeCells {
  void operator()(Cell* cells) const { std::free(cells); }
};
using Cells = std::unique_ptr<Cell[], FreeCells>;
inline Cells make_cells(size_t count) {
  return Cells(static_cast<Cell*>(std::calloc(count ? count : 1, sizeof(Cell))));
}

using Clocks = std::vector<uint32_t>;  // one for each thread of a block
using Knowledge = std::shared_ptr<const Clocks>;

// The clocks of one block's threads.
class BlockClocks {
 public:
  void reset(int threads);

  uint32_t own(int thread) const { return own_[size_t(thread)]; }
  // Whether `touch`, of the same block, happened before what `thread` does now.
  bool before(const Touch& touch, int thread) const {
    if (touch.thread == thread) return true;
    const Knowledge& k = known_[size_t(thread)];
    return k && (*k)[touch.thread] >= touch.clock;
  }

  void ordered(std::span<const uint16_t> arrivals, std::span<const uint16_t> waiters);
  void release(const void* object, int thread);
  void acquire(const void* object, int thread);
  // What `thread` has done so far has this clock at most, what it does later a greater one.
  uint32_t tick(int thread) { return own_[size_t(thread)]++; }
  // What `thread` has done and knows, at this moment; later accesses are not part of it.
  Knowledge snapshot(int thread);

 private:
  void join(Clocks& into, const Knowledge& from) const;

  Clocks own_;
  std::vector<Knowledge> known_;
  std::unordered_map<const void*, Clocks> objects_;
};

}  // namespace doppel::emulator
