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

#include "kernels/checked/readers.h"

namespace doppel::emulator {

// The last write, and who has read since: one access, or a set of them.
struct Cell {
  static constexpr uint32_t kSet = UINT32_MAX;  // as the block of `read`

  Touch write;
  // A set: `clock` is its number among the ReaderSets that `place` names, by a block's serial number.
  Touch read;
};

// Zeroed cells that cost nothing until touched.
struct FreeCells {
  void operator()(Cell* cells) const { std::free(cells); }
};
using Cells = std::unique_ptr<Cell[], FreeCells>;
inline Cells make_cells(size_t count) {
  return Cells(static_cast<Cell*>(std::calloc(count ? count : 1, sizeof(Cell))));
}

using Clocks = std::vector<uint32_t>;  // one for each thread of a block, or of all blocks of a cluster
using Knowledge = std::shared_ptr<const Clocks>;

// The clocks of one block's threads; of a cluster's, numbered through, block after block.
class BlockClocks {
 public:
  void reset(int threads);

  uint32_t own(int thread) const { return own_[size_t(thread)]; }
  // Whether what `earlier` did at its `clock` happened before what `thread` does now.
  bool before(int earlier, uint32_t clock, int thread) const {
    if (earlier == thread) return true;
    const Knowledge& k = known_[size_t(thread)];
    return k && (*k)[size_t(earlier)] >= clock;
  }

  // Threads are numbered from `first` on.
  void ordered(int first, std::span<const uint16_t> arrivals, std::span<const uint16_t> waiters);
  // A barrier of all to which threads come first and where they wait later: `thread` comes; all have; `thread` waits.
  void arrive(int thread);
  void open();
  void waited(int thread);
  // What `thread` did belongs to the phase of `object` that goes on; that phase is over, and `woken` waited for it;
  // `thread` has found that the last one is over.
  void release(const void* object, int thread);
  void phase_over(const void* object, int first, std::span<const uint16_t> woken);
  void acquire(const void* object, int thread);
  // What `thread` has done so far has this clock at most, what it does later a greater one.
  uint32_t tick(int thread) { return own_[size_t(thread)]++; }
  // What `thread` has done and knows, at this moment; later accesses are not part of it.
  Knowledge snapshot(int thread);

 private:
  // Each arrival at an mbarrier continues what the one before released: who waits for a phase acquires it and all
  // earlier ones, but nothing of a later phase.
  struct Releases {
    Clocks all;      // with the phase that goes on
    Knowledge over;  // without it
  };

  void join(Clocks& into, const Knowledge& from) const;

  Clocks own_;
  std::vector<Knowledge> known_;
  std::unordered_map<const void*, Releases> objects_;
  Clocks coming_;  // to the barrier of all: what those know and did who have come
  Knowledge last_, opened_;
};

}  // namespace doppel::emulator
