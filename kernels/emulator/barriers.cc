// Barriers of the block, numbered ones, and those that lie in shared memory.
#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

#include "kernels/emulator/block.h"
#include "kernels/emulator/checker.h"
#include "kernels/emulator/cluster.h"

namespace doppel::emulator {
namespace {

// bar.sync and bar.arrive are instructions of whole warps: a card counts 32 threads for each that comes.
void check_warps_whole(Block& block, const Barrier& b, int id) {
  for (int i = 0; i < block.threads(); ++i) {
    const uint32_t come = b.lanes[i / kWarp];
    if (come == 0 || come >> i % kWarp & 1u) continue;
    block.fail(Defect::divergent_barrier, block.place(i / kWarp * kWarp + std::countr_zero(come)) +
                                              "comes to barrier " + std::to_string(id) + " at " +
                                              text_of(b.places[i / kWarp]) + ", which is full without thread " +
                                              block.thread_text(i) + " of its warp");
  }
}

// Everybody has come: the waiters go on.
void open(Block& block, Barrier& b) {
  if (checker) checker->ordered(block, b.arrivals, b.waiters);
  for (const uint16_t t : b.waiters) block.make_ready(block.thread(t));
  b.clear();
}

}  // namespace

void Barrier::clear() {
  expected = arrived = 0;
  arrivals.clear();
  waiters.clear();
  std::fill(std::begin(lanes), std::end(lanes), 0u);
}

void barrier(int id, int threads, bool wait, Where where) {
  Block& block = *running_block();
  Thread& self = block.current();
  const auto bad = [&](const std::string& what) {
    block.fail(Defect::bad_barrier, block.place(self.number) + what + " at " + text_of(where));
  };
  if (id < 0 || id >= kBarriers) bad("uses barrier " + std::to_string(id) + ", there are 16");
  if (threads % kWarp != 0 || threads < 0 || threads > (block.threads() + kWarp - 1) / kWarp * kWarp)
    bad("expects " + std::to_string(threads) + " threads at barrier " + std::to_string(id));
  Barrier& b = block.barriers[id];
  if (b.arrived > 0 && b.expected != threads)
    bad("expects " + std::to_string(threads) + " threads at barrier " + std::to_string(id) + ", others " +
        std::to_string(b.expected));
  if (b.arrived > 0 && threads == 0 && !same_place(b.first, where))
    block.fail(Defect::divergent_barrier, block.place(self.number) + "comes to __syncthreads at " + text_of(where) +
                                              " while thread " + std::to_string(b.waiters.front()) +
                                              " of the block waits in that at " + text_of(b.first));
  if (checker && threads == 0 && block.left() > 0)
    block.fail(Defect::divergent_barrier, block.place(self.number) + "comes to __syncthreads at " + text_of(where) +
                                              ", which " + std::to_string(block.left()) +
                                              " threads that have left the kernel do not");
  uint32_t& lanes = b.lanes[self.warp()];
  Where& place = b.places[self.warp()];
  if (lanes >> self.lane() & 1u) bad("comes to barrier " + std::to_string(id) + " again before it is full,");
  if (lanes && !same_place(place, where))
    block.fail(Defect::divergent_barrier, block.place(self.number) + "comes to barrier " + std::to_string(id) + " at " +
                                              text_of(where) + ", others of its warp at " + text_of(place));
  lanes |= 1u << self.lane();
  place = where;
  block.progress();
  if (b.arrived == 0) b.first = where, b.expected = threads;
  ++b.arrived;
  b.arrivals.push_back(uint16_t(self.number));
  if (wait) {
    b.waiters.push_back(uint16_t(self.number));
    self.wait = Wait::barrier;
    self.barrier = id;
    self.where = where;
  }
  const int needed = threads == 0 ? block.threads() - block.left() : threads;
  if (b.arrived == needed) {
    if (threads > 0) check_warps_whole(block, b, id);
    open(block, b);
  }
  if (wait) block.suspend();
}

void need_sm90(Block& block, const char* what, Where where) {
  if (options().sm < 90)
    block.fail(Defect::launch, block.place(block.current().number) + what + " at " + text_of(where) +
                                   " needs sm_90, this is sm_" + std::to_string(options().sm));
}

// ---- mbarrier -------------------------------------------------------------------------------------------------------

namespace {

MBarrierState& find(Block& block, const void* address, Where where) {
  for (MBarrierState& m : block.mbarriers)
    if (m.address == address) return m;
  block.fail(Defect::bad_barrier,
             block.place(block.current().number) + "uses an mbarrier that was not initialised at " + text_of(where));
}

// Of `other`, for the running thread of `block`: from its own block it sees it in any case, from another behind a
// fence and a barrier of the cluster. Told in the same words when it is not initialised yet: that is luck.
MBarrierState& find_in(Block& block, Block& other, const void* address, Where where) {
  if (&other == &block) return find(block, address, where);
  for (MBarrierState& m : other.mbarriers)
    if (m.address == address && m.announced && m.announced_in < block.cluster().phase()) return m;
  block.fail(Defect::bad_barrier, block.place(block.current().number) + "uses an mbarrier of block " +
                                      text_of(other.block) +
                                      " with no fence_mbarrier_init and barrier of the cluster "
                                      "after its initialisation, at " +
                                      text_of(where));
}

// `block`: whose mbarrier it is.
void end_phase_if_complete(Block& block, MBarrierState& m) {
  if (m.pending > 0 || m.bytes != 0) return;
  m.done.push_back(std::move(m.copies));
  m.copies.clear();
  ++m.phase;
  m.pending = m.count;
  uint16_t woken[kMaxThreads];
  size_t count = 0;
  for (int i = 0; i < block.threads(); ++i) {
    Thread& t = block.thread(i);
    if (t.wait != Wait::mbarrier || t.mbarrier != m.address) continue;
    woken[count++] = uint16_t(i);
    block.make_ready(t);
  }
  if (checker) checker->phase_over(block, m.address, {woken, count});
}

void arrive_once(Block& block, Block& owner, MBarrierState& m, int expected_bytes, Where where) {
  if (m.pending == 0)
    block.fail(Defect::bad_barrier,
               block.place(block.current().number) + "arrives once too often at an mbarrier at " + text_of(where));
  block.progress();
  if (checker) checker->release(block, m.address);
  m.bytes += expected_bytes;
  --m.pending;
  end_phase_if_complete(owner, m);
}

}  // namespace

void apply(const Copy& copy) {
  std::memcpy(copy.to, copy.from, size_t(copy.valid));
  std::memset(copy.to + copy.valid, 0, size_t(copy.bytes - copy.valid));
}

void mbarrier_init(void* address, int count, Where where) {
  Block& block = *running_block();
  check_aligned(address, 8, where);
  if (checker) checker->access(block, address, 8, Access::write, where);
  if (count < 1)
    block.fail(Defect::bad_barrier, block.place(block.current().number) + "initialises an mbarrier for " +
                                        std::to_string(count) + " arrivals at " + text_of(where));
  for (const MBarrierState& m : block.mbarriers)
    if (m.address == address)
      block.fail(Defect::bad_barrier, block.place(block.current().number) + "initialises an mbarrier that thread " +
                                          block.thread_text(m.maker) + " has initialised, at " + text_of(where));
  std::memset(address, 0, 8);
  MBarrierState& made = block.mbarriers.emplace_back();
  made.address = address;
  made.count = made.pending = count;
  made.maker = block.current().number;
}

void mbarrier_arrive(void* address, int expected_bytes, Where where) {
  Block& block = *running_block();
  if (expected_bytes) need_sm90(block, "mbarrier_expect_tx", where);
  if (checker) checker->access(block, address, 8, Access::atomic, where);
  arrive_once(block, block, find(block, address, where), expected_bytes, where);
}

void arrive_in(Block& block, Block& other, void* address, Where where) {
  MBarrierState& m = find_in(block, other, address, where);
  if (checker) checker->access(block, address, 8, Access::atomic, where);
  arrive_once(block, other, m, 0, where);
}

void mbarrier_wait(void* address, int parity, Where where) {
  Block& block = *running_block();
  if (checker) checker->access(block, address, 8, Access::atomic, where);
  uint64_t over;  // phases, with the one that is waited for
  {
    const MBarrierState& m = find(block, address, where);
    const bool goes_on = uint64_t(parity) == (m.phase & 1);
    over = m.phase + goes_on;
    if (goes_on) {
      Thread& self = block.current();
      self.wait = Wait::mbarrier;
      self.mbarrier = address;
      self.parity = parity;
      self.where = where;
      block.suspend();  // end_phase_if_complete() acquires
    } else if (checker) {
      checker->acquire(block, address);
    }
  }
  MBarrierState& m = find(block, address, where);  // others may have made mbarriers meanwhile
  // Later phases may be over as well by now, but nobody here has seen that.
  for (; !m.done.empty() && m.phase - m.done.size() < over; m.done.pop_front())
    for (const Copy& c : m.done.front()) {
      apply(c);
      if (checker) checker->copy_ends(block, c, true);
    }
}

void copy_async_arrive(void* address, Where where) {
  Block& block = *running_block();
  Thread& self = block.current();
  if (checker) checker->access(block, address, 8, Access::atomic, where);
  MBarrierState& m = find(block, address, where);
  m.copies.insert(m.copies.end(), self.copies.begin(), self.copies.end());
  self.copies.clear();
  self.groups.assign(self.groups.size(), 0);
  self.uncommitted = 0;
  arrive_once(block, block, m, 0, where);
}

void copy_bulk(void* to, const void* from, int bytes, void* address, Where where) {
  Block& block = *running_block();
  need_sm90(block, "copy_bulk", where);
  check_aligned(to, 16, where);
  check_aligned(from, 16, where);
  if (bytes % 16 != 0)
    block.fail(Defect::misaligned, block.place(block.current().number) + "copies " + std::to_string(bytes) +
                                       " bytes, no multiple of 16, at " + text_of(where));
  const Copy copy{static_cast<unsigned char*>(to), static_cast<const unsigned char*>(from), bytes, bytes, where, true};
  begin_bulk_copies(block, {&copy, 1}, bytes, address, 0, where);
}

namespace {

void begin_in(Block& block, Block& owner, std::span<const Copy> copies, int bytes, const void* address, Where where) {
  MBarrierState& m = find_in(block, owner, address, where);
  if (!m.fenced)
    block.fail(Defect::missing_fence, block.place(block.current().number) +
                                          "counts bytes on an mbarrier that no fence_proxy_async followed at " +
                                          text_of(where));
  if (checker) {
    for (const Copy& copy : copies) checker->copy_begins(block, copy);
    checker->release(block, address);
  }
  m.copies.insert(m.copies.end(), copies.begin(), copies.end());
  m.bytes -= bytes;
  end_phase_if_complete(owner, m);
}

}  // namespace

void begin_bulk_copies(Block& block, std::span<const Copy> copies, int bytes, const void* address, unsigned mask,
                       Where where) {
  if (mask == 0) return begin_in(block, block, copies, bytes, address, where);
  for (int rank = 0; mask >> rank; ++rank) {
    if (!(mask >> rank & 1u)) continue;
    Block& other = block.peer(rank, "copies to", where);
    std::vector<Copy> there(copies.begin(), copies.end());
    for (Copy& copy : there)
      copy.to = static_cast<unsigned char*>(block.same_in(other, copy.to, size_t(copy.bytes), where));
    begin_in(block, other, there, bytes, block.same_in(other, address, 8, where), where);
  }
}

void fence_proxy_async(Where where) {
  Block& block = *running_block();
  need_sm90(block, "fence_proxy_async", where);
  for (MBarrierState& m : block.mbarriers)
    if (m.maker == block.current().number) m.fenced = true;
  if (checker) checker->fence_proxy(block);
}

// ---- cp.async -------------------------------------------------------------------------------------------------------

void copy_async(void* to, const void* from, int bytes, int valid, Where where) {
  Block& block = *running_block();
  Thread& self = block.current();
  check_aligned(to, size_t(bytes), where);
  check_aligned(from, size_t(bytes), where);
  if (valid < 0 || valid > bytes)
    block.fail(Defect::out_of_bounds, block.place(self.number) + "copies " + std::to_string(valid) +
                                          " valid bytes of " + std::to_string(bytes) + " at " + text_of(where));
  const Copy copy{static_cast<unsigned char*>(to), static_cast<const unsigned char*>(from), bytes, valid, where};
  if (checker) checker->copy_begins(block, copy);
  self.copies.push_back(copy);
  ++self.uncommitted;
}

void copy_async_commit() {
  Thread& self = running_block()->current();
  self.groups.push_back(self.uncommitted);
  self.uncommitted = 0;
}

void copy_async_wait(int groups) {
  Block& block = *running_block();
  Thread& self = block.current();
  int done = 0;
  while (int(self.groups.size()) > groups) {
    done += self.groups.front();
    self.groups.erase(self.groups.begin());
  }
  for (int i = 0; i < done; ++i) {
    apply(self.copies[size_t(i)]);
    if (checker) checker->copy_ends(block, self.copies[size_t(i)], false);
  }
  self.copies.erase(self.copies.begin(), self.copies.begin() + done);
}

void check_aligned(const void* address, size_t alignment, Where where) {
  if (reinterpret_cast<uintptr_t>(address) % alignment == 0) return;
  Block* block = running_block();
  if (!block) return;
  block->fail(Defect::misaligned, block->place(block->current().number) + "uses an address that is no multiple of " +
                                      std::to_string(alignment) + " at " + text_of(where));
}

}  // namespace doppel::emulator
