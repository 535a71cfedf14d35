#include "kernels/checked/shadow.h"

#include <algorithm>
#include <utility>

namespace doppel::emulator {

void BlockClocks::reset(int threads) {
  own_.assign(size_t(threads), 1);
  known_.assign(size_t(threads), nullptr);
  objects_.clear();
  coming_.assign(size_t(threads), 0);
  last_ = opened_ = nullptr;
}

void BlockClocks::join(Clocks& into, const Knowledge& from) const {
  if (!from) return;
  for (size_t i = 0; i < into.size(); ++i) into[i] = std::max(into[i], (*from)[i]);
}

void BlockClocks::ordered(int first, std::span<const uint16_t> arrivals, std::span<const uint16_t> waiters) {
  auto together = std::make_shared<Clocks>(own_.size(), 0);
  if (arrivals.size() < own_.size()) {
    Knowledge last;  // mostly all have the same
    for (const uint16_t i : arrivals) {
      const size_t t = size_t(first) + i;
      if (known_[t] != last) join(*together, known_[t]);
      last = known_[t];
    }
  }
  for (const uint16_t i : arrivals) {
    const size_t t = size_t(first) + i;
    (*together)[t] = own_[t]++;
  }
  for (const uint16_t i : waiters) known_[size_t(first) + i] = together;
}

void BlockClocks::arrive(int thread) {
  const auto t = size_t(thread);
  if (known_[t] != last_) join(coming_, known_[t]);  // mostly all have the same
  last_ = known_[t];
  coming_[t] = own_[t]++;
}

void BlockClocks::open() {
  opened_ = std::make_shared<Clocks>(std::exchange(coming_, Clocks(own_.size(), 0)));
  last_ = nullptr;
}

void BlockClocks::waited(int thread) {
  Knowledge& known = known_[size_t(thread)];
  const auto grown = [&] {
    for (size_t i = 0; known && i < opened_->size(); ++i)
      if ((*known)[i] > (*opened_)[i]) return true;
    return false;
  };
  if (!grown()) {  // since it came
    known = opened_;
    return;
  }
  auto k = std::make_shared<Clocks>(*opened_);
  join(*k, known);
  known = k;
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

void BlockClocks::phase_over(const void* object, int first, std::span<const uint16_t> woken) {
  Releases& at = objects_[object];
  at.all.resize(own_.size(), 0);
  at.over = std::make_shared<Clocks>(at.all);
  // Mostly they knew the same before, and then they know the same now.
  Knowledge last, joined;
  for (const uint16_t i : woken) {
    const size_t t = size_t(first) + i;
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
