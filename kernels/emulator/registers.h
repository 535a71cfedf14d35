// setmaxnreg on the emulator: warpgroups of a block hand registers to each other through a pool, which is empty when
// the block begins. Private to kernels/emulator/.
//
// A warpgroup changes when all its 128 threads have come, which a card does not wait for, but demands. What threads
// hold when they leave the kernel does not come back to the pool: nothing promises that it does.
#pragma once

#include <string>

#include "kernels/emulator/products.h"
#include "kernels/emulator/thread.h"

namespace doppel::emulator {

class Registers {
 public:
  // All threads of a new block have `each`.
  void reset(int each);
  // The running thread's warpgroup is to have `count` each; comes back when it has. Fails when `more` is wrong about
  // that, or when the warpgroup is incomplete or disagrees.
  void change(Block& block, int count, bool more, Where where);
  // What `thread`, which waits in change(), waits for.
  std::string missing(int thread) const;

 private:
  // Gives every warpgroup that is complete what it wants, as far as the pool goes.
  void hand_over(Block& block);

  struct Group {
    int each;
    int wanted = 0, come = 0;  // threads that have come to change
    int first = 0;             // of them, and where they are
    Where where{};
  };
  Group groups_[1024 / kWarpgroup];
  int free_ = 0;
};

}  // namespace doppel::emulator
