#include "kernels/checked/readers.h"

#include <algorithm>
#include <utility>

namespace doppel::emulator {
namespace {

constexpr size_t kFewSteps = 1024;

bool same(const Touch& a, const Touch& b) {
  return a.place == b.place && a.block == b.block && a.clock == b.clock && a.thread == b.thread;
}

}  // namespace

void ReaderSets::clear() {
  if (links_.size() == 1) return;
  links_.assign(1, Link{});
  steps_.assign(kFewSteps, Step{});
  step_count_ = 0;
  last_ = {};
}

// Where the step is, or would be.
ReaderSets::Step& ReaderSets::slot(uint32_t set, const Touch& touch) {
  uint64_t hash = (uint64_t(set) << 32 | touch.place) * 0x9E3779B97F4A7C15u;
  hash ^= hash >> 29 ^ uint64_t(touch.clock) << 40 ^ uint64_t(touch.block) << 10 ^ touch.thread;
  hash *= 0xBF58476D1CE4E5B9u;
  for (size_t i = hash >> 32;; ++i) {
    Step& s = steps_[i & (steps_.size() - 1)];
    if (s.result == kNobody || (s.set == set && same(s.touch, touch))) return s;
  }
}

const ReaderSets::Step* ReaderSets::find(uint32_t set, const Touch& touch) {
  if (last_.result != kNobody && last_.set == set && same(last_.touch, touch)) return &last_;
  const Step& s = slot(set, touch);
  if (s.result == kNobody) return nullptr;
  last_ = s;
  return &last_;
}

void ReaderSets::remember(uint32_t set, const Touch& touch, uint32_t result) {
  if (2 * ++step_count_ > steps_.size()) {
    const std::vector<Step> old = std::exchange(steps_, std::vector<Step>(2 * steps_.size()));
    for (const Step& s : old)
      if (s.result != kNobody) slot(s.set, s.touch) = s;
  }
  last_ = slot(set, touch) = {touch, set, result};
}

uint32_t ReaderSets::append(uint32_t set, const Touch& touch) {
  if (const Step* step = find(set, touch)) return step->result;
  const auto result = uint32_t(links_.size());
  links_.push_back({touch, set, links_[set].size + 1, links_[set].tidy});
  remember(set, touch, result);
  return result;
}

uint32_t ReaderSets::tidied() {
  const auto key = [](const Touch& t) { return uint64_t(t.block) << 16 | t.thread; };
  std::sort(kept_.begin(), kept_.end(), [=](const Touch& a, const Touch& b) {
    return key(a) != key(b) ? key(a) < key(b) : a.clock != b.clock ? a.clock > b.clock : a.place < b.place;
  });
  const auto end =
      std::unique(kept_.begin(), kept_.end(), [=](const Touch& a, const Touch& b) { return key(a) == key(b); });
  uint32_t set = kNobody;
  for (auto t = kept_.begin(); t != end; ++t) set = append(set, *t);
  links_[set].tidy = links_[set].size;
  return set;
}

}  // namespace doppel::emulator
