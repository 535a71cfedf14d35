// Who has read a byte since it was last written, when threads read it side by side: Flanagan and Freund, "FastTrack"
// (2009), remember one read, and a vector of them once two are concurrent. Many bytes are read by the same threads in
// the same order, and here those share their vector: it is a chain of accesses that never changes, and one more read
// leads to a longer chain, the same from everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/checked/touch.h"

namespace doppel::emulator {

class ReaderSets {
 public:
  static constexpr uint32_t kNobody = 0;  // the empty set
  // A set does not grow beyond. Only global memory can have so many readers: a block has 1024 threads.
  static constexpr uint32_t kMost = 4096;

  ReaderSets() { clear(); }
  // Forgets all sets.
  void clear();

  // `set` and `touch`. Now and then it is tidied up: a thread's last read is enough, and no read is needed that, as
  // `before` says, happened before `touch`: a write that is ordered after `touch` is ordered after it.
  template <typename Before>
  uint32_t with(uint32_t set, const Touch& touch, Before before) {
    if (const Step* step = find(set, touch)) return step->result;
    const uint32_t result = extend(set, touch, before);
    if (!find(set, touch)) remember(set, touch, result);
    return result;
  }

  // A read of the set that `before` denies, or null.
  template <typename Before>
  const Touch* conflict(uint32_t set, Before before) const {
    for (; set != kNobody; set = links_[set].rest)
      if (!before(links_[set].touch)) return &links_[set].touch;
    return nullptr;
  }

 private:
  // The set of `touch` and `rest`, `size` in all, of which `tidy` are known to be needed.
  struct Link {
    Touch touch;
    uint32_t rest, size, tidy;
  };
  // with(set, touch) is `result`; kNobody where there is none.
  struct Step {
    Touch touch;
    uint32_t set, result;
  };

  template <typename Before>
  uint32_t extend(uint32_t set, const Touch& touch, Before before) {
    const Link& link = links_[set];
    // Seldom enough that looking at all costs no more than adding them did.
    if (link.size > link.tidy && (link.size >= 2 * link.tidy + 16 || link.size >= kMost)) {
      kept_.clear();
      for (uint32_t s = set; s != kNobody; s = links_[s].rest)
        if (!before(links_[s].touch)) kept_.push_back(links_[s].touch);
      set = tidied();
    }
    return links_[set].size < kMost ? append(set, touch) : set;
  }
  // The set of kept_.
  uint32_t tidied();
  uint32_t append(uint32_t set, const Touch& touch);
  const Step* find(uint32_t set, const Touch& touch);
  void remember(uint32_t set, const Touch& touch, uint32_t result);
  Step& slot(uint32_t set, const Touch& touch);

  std::vector<Link> links_;  // by set
  std::vector<Step> steps_;  // a hash table, its size a power of two
  size_t step_count_ = 0;
  Step last_{};              // neighbouring bytes take the same step
  std::vector<Touch> kept_;  // of extend
};

}  // namespace doppel::emulator
