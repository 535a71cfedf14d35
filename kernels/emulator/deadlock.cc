// Threads that leave a kernel while others wait for them, and blocks in which nobody can go on.
#include <algorithm>
#include <cstdio>

#include "kernels/emulator/block.h"
#include "kernels/emulator/checker.h"
#include "kernels/emulator/cluster.h"

namespace doppel::emulator {

void Block::leave(Thread& thread) {
  check_products_done(*this, thread);
  if (options().early_start && !thread.waited)
    fail(Defect::too_early, place(thread.number) + "has left the kernel without wait_for_earlier_kernels()");
  thread.wait = Wait::left;
  ++left_;
  progress();
  cluster_.open_if_complete();
  for (int i = thread.warp() * kWarp; i < std::min(count_, (thread.warp() + 1) * kWarp); ++i) {
    const Thread& other = threads_[size_t(i)];
    if (other.wait == Wait::lanes && other.mask >> thread.lane() & 1u)
      fail(Defect::divergent_barrier, place(thread.number) + "has left the kernel while thread " +
                                          thread_text(other.number) + " waits for its lane at " + text_of(other.where));
  }
  Barrier& all = barriers[0];
  if (all.arrived == 0) return;
  const Thread& waiting = threads_[all.waiters.front()];
  if (checker)
    fail(Defect::divergent_barrier, place(thread.number) + "has left the kernel while thread " +
                                        thread_text(waiting.number) + " waits in __syncthreads at " +
                                        text_of(waiting.where));
  // On a card, threads that have left are not waited for.
  if (all.arrived == count_ - left_) {
    for (const uint16_t t : all.waiters) make_ready(threads_[t]);
    all.clear();
  }
}

// What the phase of an mbarrier still wants.
std::string Block::missing(const void* mbarrier) const {
  for (const MBarrierState& m : mbarriers)
    if (m.address == mbarrier)
      return " (" + std::to_string(m.pending) + " arrivals and " + std::to_string(m.bytes) + " bytes are missing)";
  return "";
}

void Block::report_deadlock() {
  std::string text;
  for (int r = 0; r < cluster_.size(); ++r)
    if (Block& b = cluster_.block(r); b.left_ < b.count_)
      text += (text.empty() ? " block " : "; block ") + b.waiting_text();
  record(Defect::deadlock, text);
}

// Of this block: who waits for what.
std::string Block::waiting_text() {
  std::string text = block_text(serial_) + ": " + std::to_string(left_) + " of " + std::to_string(count_) +
                     " threads have left, the others wait";
  // Threads that wait alike are told together.
  const auto alike = [](const Thread& a, const Thread& b) {
    return a.wait == b.wait && a.where.line() == b.where.line() && a.barrier == b.barrier && a.mask == b.mask &&
           a.mbarrier == b.mbarrier && a.products == b.products &&
           (a.wait != Wait::registers || a.number / kWarpgroup == b.number / kWarpgroup);
  };
  for (int i = 0; i < count_; ++i) {
    const Thread& t = threads_[size_t(i)];
    bool first = t.wait != Wait::left;
    for (int j = 0; j < i && first; ++j) first = !alike(threads_[size_t(j)], t);
    if (!first) continue;
    int together = 0;
    for (int j = i; j < count_; ++j) together += alike(threads_[size_t(j)], t);
    text +=
        "; thread " + thread_text(t.number) + (together > 1 ? " and " + std::to_string(together - 1) + " more" : "");
    if (t.wait == Wait::barrier) {
      const Barrier& b = barriers[t.barrier];
      text += t.barrier == 0 ? " in __syncthreads" : " at barrier " + std::to_string(t.barrier);
      text +=
          " (" + std::to_string(b.arrived) + " of " + std::to_string(b.expected ? b.expected : count_) + " have come)";
    }
    if (t.wait == Wait::lanes) {
      char mask[16];
      std::snprintf(mask, sizeof(mask), "0x%08x", t.mask);
      text += std::string(" for the lanes ") + mask + " of its warp";
    }
    if (t.wait == Wait::mbarrier)
      text += " at an mbarrier for parity " + std::to_string(t.parity) + missing(t.mbarrier);
    if (t.wait == Wait::change) text += " for an atomic operation to find something else";
    if (t.wait == Wait::products) text += " for a wgmma that not all 128 threads of its warpgroup have issued";
    if (t.wait == Wait::registers) text += registers.missing(t.number);
    if (t.wait == Wait::cluster) text += " for the other threads of its cluster";
    text += " at " + text_of(t.where);
  }
  return text;
}

}  // namespace doppel::emulator
