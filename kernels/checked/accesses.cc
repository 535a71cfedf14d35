// One access: what memory it touches, whether it may, what it meets there, and what is remembered of it. In one file
// because it runs for every byte, and the compiler is to see all of it.
#include <algorithm>

#include "kernels/checked/checker.h"
#include "kernels/checked/location.h"
#include "kernels/checked/wording.h"
#include "kernels/emulator/cluster.h"

namespace doppel::emulator {
namespace {

bool writes(Access kind) {
  return kind == Access::write || kind == Access::atomic;
}

// For as long as one line of memory's cells are looked at: blocks on other cores look at the same.
class Lock {
 public:
  explicit Lock(std::atomic_flag& flag) : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Lock() { flag_.clear(std::memory_order_release); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  std::atomic_flag& flag_;
};

}  // namespace

ShadowChecker::State& ShadowChecker::state() {
  static thread_local State s;
  return s;
}

ShadowChecker::Region* ShadowChecker::find(const char* address) {
  State& s = state();
  if (s.last_region && address >= s.last_region->begin && address < s.last_region->end) return s.last_region;
  const auto after = std::upper_bound(regions_.begin(), regions_.end(), address,
                                      [](const char* p, const auto& r) { return p < r->begin; });
  if (after == regions_.begin() || address >= (*std::prev(after))->end) return nullptr;
  return s.last_region = std::prev(after)->get();
}

bool ShadowChecker::before(Block& block, const Touch& touch, const Touch& now, bool shared) const {
  if (block.in_cluster(touch.block))
    return state().clocks.before(clock_of(block, touch), touch.clock, clock_of(block, now));
  if (touch.block < block.first_serial() || shared)
    return true;  // an earlier launch, another block's memory, or nobody
  const uint32_t size = uint32_t(block.launch().cluster), rank = (touch.block - block.first_serial()) % size;
  const auto known = state().foreign.find(touch.block - rank);
  return known != state().foreign.end() &&
         (*known->second)[rank * uint32_t(block.threads()) + touch.thread] >= touch.clock;
}

void ShadowChecker::access(Block& block, const void* address, size_t bytes, Access kind, Where where) {
  check(block, address, bytes, kind, place_of(where));
}

void ShadowChecker::copy_begins(Block& block, const Copy& copy) {
  if (copy.valid > 0) check(block, copy.from, size_t(copy.valid), Access::read, place_of(copy.where));
  check(block, copy.to, size_t(copy.bytes), Access::write, place_of(copy.where), true, copy.bulk);
  const char* from = reinterpret_cast<const char*>(copy.from);
  const Region* region = copy.valid > 0 ? find(from) : nullptr;
  if (region && region->output_of == block.first_serial())
    state().sources[copy.to] = {from, from + copy.valid,
                                Touch{place_of(copy.where), block.serial(), state().clocks.own(self_in(block)),
                                      uint16_t(block.current().number), false, true, copy.bulk}};
}

void ShadowChecker::copy_ends(Block& block, const Copy& copy, bool at_mbarrier) {
  // Who waits at an mbarrier acquires what the issuing thread released there. A thread that waits for its own copies
  // has them from then on, and others only by a later barrier: as if it had written them now.
  state().sources.erase(copy.to);
  Cell* cells = state().blocks[size_t(block.rank())].cells.get() + (copy.to - block.arena());
  for (int i = 0; i < copy.bytes; ++i) {
    Touch& w = cells[i].write;
    w.under_way = false;
    if (!at_mbarrier) w.clock = state().clocks.own(clock_of(block, w));
  }
}

void ShadowChecker::check(Block& block, const void* address, size_t bytes, Access kind, Place place, bool under_way,
                          bool bulk) {
  if (bytes == 0) return;
  const char* p = static_cast<const char*>(address);
  const auto* u = static_cast<const unsigned char*>(address);
  Thread& self = block.current();
  const Touch touch{place,
                    block.serial(),
                    state().clocks.own(self_in(block)),
                    uint16_t(self.number),
                    kind == Access::atomic,
                    under_way,
                    bulk};
  for (int rank = 0; rank < block.cluster().size(); ++rank)
    if (Block& owner = block.cluster().block(rank); u >= owner.arena() && u < owner.arena() + Block::kArena)
      return check_shared(block, owner, u, bytes, kind, touch);
  if (p >= self.fiber.stack && p + bytes <= self.fiber.stack + self.fiber.bytes && !under_way) {
    if (Accumulators* a = accumulators_at(self, p, bytes)) {
      if (a->pending)
        block.fail(Defect::product_not_waited_for, block.place(self.number) + verb(kind) +
                                                       "accumulators of a wgmma that it has not waited for at " +
                                                       text_of(place));
      a->touched = true;
    }
    return;
  }
  if (Region* region = find(p)) {
    if (p + bytes <= region->end && !under_way) return check_global(block, *region, p, bytes, kind, touch);
  }
  const char* arguments = static_cast<const char*>(block.launch().arguments);
  if (kind == Access::read && p >= arguments && p + bytes <= arguments + block.launch().argument_bytes) return;
  if (is_static(address)) {
    if (kind == Access::read) return;
    block.fail(Defect::write_to_input, block.place(self.number) + verb(kind) + count_text(bytes) +
                                           " of the program's own data at " + text_of(place));
  }
  block.fail(Defect::out_of_bounds,
             block.place(self.number) + verb(kind) + count_text(bytes) + nearest(p, bytes) + " at " + text_of(place));
}

void ShadowChecker::check_shared(Block& block, Block& owner, const unsigned char* begin, size_t bytes, Access kind,
                                 const Touch& touch) {
  OfBlock& s = state().blocks[size_t(owner.rank())];
  const auto array = std::find_if(s.arrays.begin(), s.arrays.end(),
                                  [=](const Shared& a) { return begin >= a.begin && begin + bytes <= a.end; });
  if (array == s.arrays.end()) {
    std::string what = " outside all shared arrays";
    for (const Shared& a : s.arrays) {
      if (begin < a.end && begin + bytes > a.end) what = std::string(" across the end of ") + a.name;
      if (begin >= a.end && begin < a.end + 128) what = " " + count_text(size_t(begin - a.end)) + " behind " + a.name;
      if (begin < a.begin && begin + 128 >= a.begin)
        what = " " + count_text(size_t(a.begin - begin)) + " before " + a.name;
    }
    block.fail(Defect::out_of_bounds,
               block.place(touch.thread) + verb(kind) + count_text(bytes) + what + " at " + text_of(touch.place));
  }
  if (writes(kind))
    if (const Product* product = pending_reader(owner, begin, bytes))
      block.fail(Defect::shared_race,
                 block.place(touch.thread) + verb(kind) + count_text(bytes) + " of " + array->name +
                     ", which the wgmma of " + (&owner == &block ? "" : "block " + text_of(owner.block) + " ") +
                     "thread " + block.thread_text(product->first) + " at " + emulator::text_of(product->where) +
                     " may still read, at " + text_of(touch.place));
  Cell* cells = s.cells.get() + (begin - owner.arena());
  for (size_t i = 0; i < bytes; ++i) {
    if (kind != Access::write && !block.in_cluster(cells[i].write.block) && s.unwritten.block == 0)
      s.unwritten = touch, s.unwritten_bytes = bytes, s.unwritten_array = array->name;
    if (const Touch* earlier = conflict(block, cells[i], kind, touch, true))
      report(block, touch, *earlier, earlier == &cells[i].write, kind, bytes, array->name);
    const Touch& w = cells[i].write;
    if (kind == Access::async_read && block.in_cluster(w.block) && !w.bulk &&
        w.clock > state().fenced_proxy[size_t(clock_of(block, w))])
      block.fail(Defect::missing_fence, block.place(touch.thread) + "reads " + count_text(bytes) + " of " +
                                            array->name + " past its own accesses, which thread " +
                                            block.thread_text(w.thread) + " wrote at " + text_of(w.place) +
                                            " with no fence_proxy_async after it, at " + text_of(touch.place));
    remember(block, cells[i], kind, touch, true);
  }
}

void ShadowChecker::check_global(Block& block, Region& region, const char* begin, size_t bytes, Access kind,
                                 const Touch& touch) {
  if (options().early_start && !block.current().waited)
    block.fail(Defect::too_early, block.place(touch.thread) + verb(kind) + count_text(bytes) +
                                      " of global memory before wait_for_earlier_kernels(), at " +
                                      text_of(touch.place));
  if (!region.unwritten.empty()) check_written(region, begin, bytes, kind, touch);
  // What is read and never written meets nothing.
  if (region.input_of == block.first_serial() && region.output_of != block.first_serial()) {
    if (!writes(kind)) return;
    block.fail(Defect::write_to_input, block.place(touch.thread) + verb(kind) + count_text(bytes) +
                                           " of a buffer that the kernel has as an input at " + text_of(touch.place));
  }
  if (writes(kind))
    for (const auto& [to, source] : state().sources)
      if (begin < source.end && begin + bytes > source.begin)
        block.fail(Defect::global_race,
                   block.place(touch.thread) + verb(kind) + count_text(bytes) +
                       ", which an asynchronous copy of thread " + block.thread_text(source.touch.thread) + " at " +
                       text_of(source.touch.place) + " may still read, at " + text_of(touch.place));
  Cell* cells = region.cells.get() + (begin - region.begin);
  Touch earlier{};
  bool bad = false, wrote = false;
  for (size_t i = 0; i < bytes && !bad;) {
    const auto line = [=](size_t k) { return reinterpret_cast<uintptr_t>(begin + k) / 64; };
    const uintptr_t here = line(i);
    const Lock lock(locks_[here % kLocks]);
    for (; i < bytes && line(i) == here && !bad; ++i) {
      if (const Touch* t = conflict(block, cells[i], kind, touch, false))
        bad = true, wrote = t == &cells[i].write, earlier = *t;
      else
        remember(block, cells[i], kind, touch, false);
    }
  }
  // Outside the lock: a report does not come back.
  if (bad) report(block, touch, earlier, wrote, kind, bytes, nullptr);
}

const Touch* ShadowChecker::conflict(Block& block, const Cell& cell, Access kind, const Touch& now, bool shared) {
  const Touch& w = cell.write;
  if (w.under_way && block.in_cluster(w.block)) return &w;
  if (!(now.atomic && w.atomic) && !before(block, w, now, shared)) return &w;
  return writes(kind) ? read_conflict(block, cell.read, now, shared) : nullptr;
}

const Touch* ShadowChecker::read_conflict(Block& block, const Touch& read, const Touch& now, bool shared) {
  if (read.block != Cell::kSet) return before(block, read, now, shared) ? nullptr : &read;
  if (read.place != (shared ? block.cluster_serial() : block.first_serial()))
    return nullptr;  // earlier blocks, launches
  auto& clear = state().clear;
  if (clear.set == read.clock && clear.block == now.block && clear.thread == now.thread && clear.shared == shared)
    return nullptr;
  const auto ordered = [&](const Touch& earlier) { return before(block, earlier, now, shared); };
  const Touch* found = nullptr;
  if (shared) {
    found = state().readers.conflict(read.clock, ordered);
  } else {
    static thread_local Touch copy;  // sets of other cores may move once this has let go of them
    const std::lock_guard lock(readers_mutex_);
    if (const Touch* t = readers_.conflict(read.clock, ordered)) found = &(copy = *t);
  }
  if (!found) clear = {read.clock, now.block, now.thread, shared};
  return found;
}

void ShadowChecker::remember(Block& block, Cell& cell, Access kind, const Touch& now, bool shared) {
  if (writes(kind)) {
    cell.write = now;
    cell.read.block = 0;
    return;
  }
  const uint32_t owner = shared ? block.cluster_serial() : block.first_serial();
  Touch& r = cell.read;
  const bool is_set = r.block == Cell::kSet;
  if (is_set ? r.place != owner : before(block, r, now, shared)) {
    r = now;
    return;
  }
  const auto ordered = [&](const Touch& earlier) { return before(block, earlier, now, shared); };
  const auto none = [](const Touch&) { return false; };
  const auto grown = [&](ReaderSets& sets) {
    return sets.with(is_set ? r.clock : sets.with(ReaderSets::kNobody, r, none), now, ordered);
  };
  uint32_t set;
  if (shared) {
    set = grown(state().readers);
  } else {
    const std::lock_guard lock(readers_mutex_);
    set = grown(readers_);
  }
  r = {};
  r.place = owner, r.block = Cell::kSet, r.clock = set;
}

}  // namespace doppel::emulator
