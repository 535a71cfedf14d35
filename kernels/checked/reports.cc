// The checker's findings in words.
#include "kernels/checked/checker.h"
#include "kernels/checked/location.h"
#include "kernels/checked/wording.h"

namespace doppel::emulator {

// Where an address is that belongs to nothing.
std::string ShadowChecker::nearest(const char* p, size_t bytes) {
  const Region* best = nullptr;
  size_t distance = 4096;
  for (const auto& r : regions_) {
    const size_t d = p >= r->begin && p < r->end ? 0 : p >= r->end ? size_t(p - r->end) : size_t(r->begin - p);
    if (d < distance) distance = d, best = r.get();
  }
  if (!best) return p < reinterpret_cast<const char*>(4096) ? " through a null pointer" : " outside all buffers";
  const std::string buffer = " a buffer of " + count_text(size_t(best->end - best->begin));
  if (p < best->begin) return " that lie " + count_text(distance) + " before" + buffer;
  if (p + bytes <= best->end) return " of global memory with an asynchronous copy";
  if (p < best->end) return " of which the last " + count_text(bytes - size_t(best->end - p)) + " lie behind" + buffer;
  return " that lie " + count_text(distance) + " behind" + buffer;
}

void ShadowChecker::report(Block& block, const Touch& now, const Touch& earlier, bool earlier_wrote, Access kind,
                           size_t bytes, const char* array) {
  const bool same_block = earlier.block == block.serial();
  std::string who =
      (earlier.thread == now.thread && same_block) ? "itself" : "thread " + block.thread_text(earlier.thread);
  if (!same_block) who = "block " + block.block_text(earlier.block) + " " + who;
  const std::string what =
      block.place(now.thread) + verb(kind) + count_text(bytes) + (array ? std::string(" of ") + array : "");
  const std::string there = text_of(earlier.place), here = text_of(now.place);
  // A barrier after the copy was issued, but not after its wait, is a wait too few; no barrier at all is a race.
  if (earlier.under_way && earlier_wrote && before(block, earlier, now, true))
    block.fail(Defect::copy_not_waited_for,
               what + ", which an asynchronous copy of " + who + " at " + there + " still fills, at " + here);
  block.fail(array ? Defect::shared_race : Defect::global_race,
             what + (earlier_wrote ? " written by " : " read by ") + who + " at " + there +
                 (same_block ? ", with no barrier between; at " : ", with no order between; at ") + here);
}

}  // namespace doppel::emulator
