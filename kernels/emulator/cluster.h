// Blocks that run together and reach into each other's shared memory (a "thread block cluster", sm_90); a block of an
// ordinary launch is a cluster of one. All of one cluster run on one OS thread. Private to kernels/emulator/.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/emulator/block.h"

namespace doppel::emulator {

class Cluster {
 public:
  Cluster();

  // Runs the blocks of cluster `number` of the launch. Throws KernelError.
  void run(const Launch& launch, uint32_t number, uint32_t first_serial);

  // ---- for the blocks ----
  int size() const { return size_; }
  Block& block(int rank) { return *blocks_[size_t(rank)]; }
  Fiber& os_thread() { return os_thread_; }
  // The block that goes on after `running`: the same while it can, or, at random, another; null when none can.
  Block* next(Block& running);
  // Whether all threads of all blocks have left the kernel.
  bool all_left();
  // The cluster's barrier: barriers that are over, and one that a thread comes to, whether it waits or has left.
  uint64_t phase() const { return phase_; }
  void arrive();
  void open_if_complete();

  int64_t polls = 0;  // since something happened
  // Shared arrays lie at the same place in each block, which is what makes them reachable from another: places are
  // given out once, by the first block that comes to an array.
  struct Place {
    const SharedArray* array;
    size_t offset;  // in the arena
  };
  std::vector<Place> places;
  size_t arena_used = 0, static_used = 0;

 private:
  int size_ = 1;
  std::vector<std::unique_ptr<Block>> blocks_;
  Fiber os_thread_;
  int arrived_ = 0;
  uint64_t phase_ = 0;
  uint64_t random_ = 1;
};

}  // namespace doppel::emulator
