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
  Clocks& at = objects_.try_emplace(object, own_.size(), 0).first->second;
  join(at, snapshot(thread));
}

void BlockClocks::acquire(const void* object, int thread) {
  const auto found = objects_.find(object);
  if (found == objects_.end()) return;
  auto k = std::make_shared<Clocks>(found->second);
  join(*k, known_[size_t(thread)]);
  known_[size_t(thread)] = k;
}

}  // namespace doppel::emulator
