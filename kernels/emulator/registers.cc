#include "kernels/emulator/registers.h"

#include "kernels/emulator/block.h"

namespace doppel::emulator {

void Registers::reset(int each) {
  for (Group& g : groups_) g = {each};
  free_ = 0;
}

void Registers::change(Block& block, int count, bool more, Where where) {
  Thread& self = block.current();
  const auto fail = [&](Defect defect, const std::string& what) {
    block.fail(defect, block.place(self.number) + what + " at " + text_of(where));
  };
  need_sm90(block, "setmaxnreg", where);
  const int number = self.number / kWarpgroup;
  if ((number + 1) * kWarpgroup > block.threads())
    fail(Defect::divergent_barrier, "changes the registers of a warpgroup of fewer than 128 threads");
  Group& g = groups_[number];
  if (more ? count < g.each : count > g.each)
    fail(Defect::bad_registers, std::string(more ? "increases" : "decreases") + " its registers to " +
                                    std::to_string(count) + ", and has " + std::to_string(g.each) + ",");
  if (g.come == 0) g.wanted = count, g.first = self.number, g.where = where;
  if (!same_place(g.where, where) || g.wanted != count)
    fail(Defect::divergent_barrier, "changes its registers to " + std::to_string(count) + " while thread " +
                                        block.thread_text(g.first) + " of its warpgroup changes them to " +
                                        std::to_string(g.wanted) + " at " + text_of(g.where) + ",");
  self.wait = Wait::registers;
  self.where = where;
  block.progress();
  if (++g.come == kWarpgroup) hand_over(block);
  block.suspend();
}

void Registers::hand_over(Block& block) {
  for (bool changed = true; changed;) {
    changed = false;
    for (int i = 0; i < block.threads() / kWarpgroup; ++i) {
      Group& g = groups_[i];
      const int needed = (g.wanted - g.each) * kWarpgroup;
      if (g.come < kWarpgroup || needed > free_) continue;
      free_ -= needed;
      g = {g.wanted};
      for (int t = 0; t < kWarpgroup; ++t) block.make_ready(block.thread(i * kWarpgroup + t));
      changed = true;
    }
  }
}

std::string Registers::missing(int thread) const {
  const Group& g = groups_[thread / kWarpgroup];
  if (g.come < kWarpgroup)
    return " to change its registers (" + std::to_string(g.come) + " of the 128 threads of its warpgroup have come)";
  return " for " + std::to_string(g.wanted) + " registers instead of " + std::to_string(g.each) +
         " (its warpgroup needs " + std::to_string((g.wanted - g.each) * kWarpgroup) + " more, the block has " +
         std::to_string(free_) + " free)";
}

void change_registers(int count, bool more, Where where) {
  Block& block = *running_block();
  block.registers.change(block, count, more, where);
}

}  // namespace doppel::emulator
