// What the checker hears of memory, of blocks and of order; accesses.cc decides about accesses.
#include "kernels/checked/checker.h"

#include <algorithm>

#include "kernels/checked/location.h"
#include "kernels/checked/wording.h"
#include "kernels/emulator/cluster.h"

namespace doppel::emulator {
namespace {

const bool installed = [] {
  checker = &shadow_checker();
  return true;
}();

}  // namespace

ShadowChecker& shadow_checker() {
  static ShadowChecker* const c = new ShadowChecker;  // lives as long as any buffer
  return *c;
}

// ---- memory and blocks ----------------------------------------------------------------------------------------------

void ShadowChecker::memory_added(const void* begin, size_t bytes) {
  if (bytes == 0) return;
  auto region = std::make_unique<Region>();
  region->begin = static_cast<const char*>(begin);
  region->end = region->begin + bytes;
  region->cells = make_cells(bytes);
  const auto at = std::upper_bound(regions_.begin(), regions_.end(), region->begin,
                                   [](const char* p, const auto& r) { return p < r->begin; });
  regions_.insert(at, std::move(region));
}

void ShadowChecker::memory_removed(const void* begin) {
  std::erase_if(regions_, [=](const auto& r) { return r->begin == begin; });
}

void ShadowChecker::launch_begins(const Launch& launch, uint32_t first_serial, uint32_t) {
  published_.clear();
  readers_.clear();
  unwritten_ = {};
  state().last_region = nullptr;
  for (size_t i = 0; i < launch.pointer_count; ++i) {
    const Pointer& p = launch.pointers[i];
    Region* region = p.address ? find(static_cast<const char*>(p.address)) : nullptr;
    if (!region) continue;
    // A pointer into the middle may share its region with outputs that are not seen here.
    if (p.constant && region->begin == p.address) region->input_of = first_serial;
    if (!p.constant) region->output_of = first_serial;
  }
}

void ShadowChecker::block_begins(Block& block) {
  State& s = state();
  const auto rank = size_t(block.rank());
  if (s.blocks.size() <= rank) s.blocks.resize(rank + 1);
  s.blocks[rank].arrays.clear();
  s.blocks[rank].reaches.clear();
  s.blocks[rank].unwritten = {};
  if (rank > 0) return;
  const int threads = block.threads() * block.cluster().size();
  s.clocks.reset(threads);
  s.readers.clear();
  s.clear = {};
  s.fenced.assign(size_t(threads), nullptr);
  s.fenced_proxy.assign(size_t(threads), 0);
  s.foreign.clear();
  s.sources.clear();
  s.last_region = nullptr;
}

void ShadowChecker::block_ends(Block& block) {
  const OfBlock& s = state().blocks[size_t(block.rank())];
  for (size_t i = 0; i < s.reaches.size(); ++i) {
    const Reach& reach = s.reaches[i];
    bool known = reach.touch.block == 0;
    for (int t = first_of(block); t < first_of(block) + block.threads() && !known; ++t)
      known = state().clocks.before(int(i), reach.touch.clock, t);
    if (known) continue;
    Block& other = block.cluster().block(int(reach.touch.block - block.cluster_serial()));
    block.record(Defect::left_too_early,
                 other.place(reach.touch.thread) + reach.what + " block " + block.block_text(block.serial()) +
                     ", which may have left the kernel by then, at " + text_of(reach.touch.place));
    return;
  }
  if (s.unwritten.block == 0) return;
  block.record(Defect::uninitialised_shared,
               block.place(s.unwritten.thread) + "reads " + count_text(s.unwritten_bytes) + " of " + s.unwritten_array +
                   ", which no thread of the block has written, at " + text_of(s.unwritten.place));
}

void ShadowChecker::shared_appears(Block& block, unsigned char* memory, size_t bytes, const char* name) {
  state().blocks[size_t(block.rank())].arrays.push_back({memory, memory + bytes, name});
}

// ---- order ----------------------------------------------------------------------------------------------------------

void ShadowChecker::ordered(Block& block, std::span<const uint16_t> arrivals, std::span<const uint16_t> waiters) {
  state().clocks.ordered(first_of(block), arrivals, waiters);
}
void ShadowChecker::release(Block& block, const void* mbarrier) {
  state().clocks.release(mbarrier, self_in(block));
}
void ShadowChecker::phase_over(Block& block, const void* mbarrier, std::span<const uint16_t> woken) {
  state().clocks.phase_over(mbarrier, first_of(block), woken);
}
void ShadowChecker::acquire(Block& block, const void* mbarrier) {
  state().clocks.acquire(mbarrier, self_in(block));
}

void ShadowChecker::cluster_arrives(Block& block) {
  state().clocks.arrive(self_in(block));
}
void ShadowChecker::cluster_opens() {
  state().clocks.open();
}
void ShadowChecker::cluster_waited(Block& block) {
  state().clocks.waited(self_in(block));
}

void ShadowChecker::reaches(Block& block, Block& other, const char* what, Where where) {
  auto& all = state().blocks[size_t(other.rank())].reaches;
  all.resize(size_t(block.threads() * block.cluster().size()));
  const int self = self_in(block);
  all[size_t(self)] = {Touch{place_of(where), block.serial(), state().clocks.own(self),
                             uint16_t(block.current().number), false, false, false},
                       what};
}

void ShadowChecker::fence(Block& block) {
  const int thread = self_in(block);
  state().fenced[size_t(thread)] = state().clocks.snapshot(thread);
}

void ShadowChecker::fence_proxy(Block& block) {
  const int thread = self_in(block);
  state().fenced_proxy[size_t(thread)] = state().clocks.tick(thread);
}

void ShadowChecker::before_atomic(Block& block, const void* address) {
  const Knowledge& fenced = state().fenced[size_t(self_in(block))];
  if (!fenced) return;
  const std::lock_guard lock(published_mutex_);
  published_[address][block.cluster_serial()] = fenced;
}

void ShadowChecker::after_atomic(Block&, const void* address) {
  const std::lock_guard lock(published_mutex_);
  const auto found = published_.find(address);
  if (found == published_.end()) return;
  for (const auto& [serial, knowledge] : found->second) state().foreign[serial] = knowledge;
}

}  // namespace doppel::emulator
