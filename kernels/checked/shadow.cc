#include "kernels/checked/shadow.h"

#include <algorithm>

namespace doppel::emulator {

void BlockClocks::reset(int threads) {
  own_.assign(size_t(threads), 1);
  known_.assign(size_t(threads), nullptr);
  objects_.clear();
}

void BlockClocks::join(Clocks& into, const Knowledge& from) const {
  if (!from) return;
  for (size_t i = 0; i < into.size(); ++i) into[i] = std::max(into[i], (*from)[i]);
}

void BlockClocks::ordered(std::span<const uint16_t> arrivals, std::span<const uint16_t> waiters) {
  auto together = std::make_shared<Clocks>(own_.size(), 0);
  if (arrivals.size() < own_.size()) {
    Knowledge last;  // mostly all have the same
    for (const uint16_t t : arrivals) {
      if (known_[t] != last) join(*together, known_[t]);
      last = known_[t];
    }
  }
  for (const uint16_t t : arrivals) (*together)[t] = own_[t]++;
  for (const uint16_t t : waiters) known_[t] = together;
}

Knowledge BlockClocks::snapshot(int thread) {
  auto k = std::make_shared<Clocks>(own_.size(), 0);
  join(*k, known_[size_t(thread)]);
  (*k)[size_t(thread)] = own_[size_t(thread)]++;
  return k;
}

void BlockClocks::release(const void* object, int thread) {
  Releases& at = objects_[object];
  at.all.resize(own_.size(), 0);
  join(at.all, snapshot(thread));
}

void BlockClocks::phase_over(const void* object, std::span<const uint16_t> woken) {
  Releases& at = objects_[object];
  at.all.resize(own_.size(), 0);
  at.over = std::make_shared<Clocks>(at.all);
  // Mostly they knew the same before, and then they know the same now.
  Knowledge last, joined;
  for (const uint16_t t : woken) {
    if (!joined || known_[t] != last) {
      last = known_[t];
      auto k = std::make_shared<Clocks>(*at.over);
      join(*k, last);
      joined = k;
    }
    known_[t] = joined;
  }
}

void BlockClocks::acquire(const void* object, int thread) {
  const auto found = objects_.find(object);
  if (found == objects_.end() || !found->second.over) return;
  auto k = std::make_shared<Clocks>(*found->second.over);
  join(*k, known_[size_t(thread)]);
  known_[size_t(thread)] = k;
}

}  // namespace doppel::emulator
