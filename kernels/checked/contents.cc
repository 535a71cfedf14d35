// Which bytes of global memory hold nothing yet, and who reads one.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>

#include "kernels/checked/checker.h"
#include "kernels/checked/location.h"
#include "kernels/checked/wording.h"

namespace doppel::emulator {
namespace {

constexpr uint8_t kNothing = 0xFF;

}  // namespace

ShadowChecker::Region& ShadowChecker::region_of(const void* begin, size_t bytes) {
  state().last_region = nullptr;  // it may be gone
  const char* p = static_cast<const char*>(begin);
  Region* region = find(p);
  if (!region || bytes > size_t(region->end - p))
    throw std::logic_error("no memory of the emulator's holds these bytes");
  return *region;
}

void ShadowChecker::contents_forgotten(void* begin, size_t bytes) {
  if (bytes == 0) return;
  Region& region = region_of(begin, bytes);
  region.unwritten.resize(size_t(region.end - region.begin));
  std::memset(&region.unwritten[size_t(static_cast<char*>(begin) - region.begin)], 1, bytes);
  std::memset(begin, kNothing, bytes);
}

void ShadowChecker::host_wrote(const void* begin, size_t bytes) {
  if (bytes == 0) return;
  Region& region = region_of(begin, bytes);
  if (region.unwritten.empty()) return;
  std::memset(&region.unwritten[size_t(static_cast<const char*>(begin) - region.begin)], 0, bytes);
}

size_t ShadowChecker::unwritten(const void* begin, size_t bytes) {
  if (bytes == 0) return 0;
  const Region& region = region_of(begin, bytes);
  if (region.unwritten.empty()) return 0;
  const auto first = region.unwritten.begin() + (static_cast<const char*>(begin) - region.begin);
  return size_t(std::count(first, first + ptrdiff_t(bytes), 1));
}

void ShadowChecker::check_written(Region& region, const char* begin, size_t bytes, Access kind, const Touch& touch) {
  const auto offset = size_t(begin - region.begin);
  // Blocks on other cores come here too, for the same bytes if they race.
  const auto is_unwritten = [&](size_t i) {
    return std::atomic_ref(region.unwritten[offset + i]).load(std::memory_order_relaxed) != 0;
  };
  const auto set_written = [&](size_t i) {
    std::atomic_ref(region.unwritten[offset + i]).store(0, std::memory_order_relaxed);
  };
  if (kind != Access::write) {
    // Tests write with plain pointers, of which nobody hears: whatever is something else than what was left there has
    // been written. Looked at by 4 bytes, since one byte of a number may well be 0xFF.
    const size_t step = std::min<size_t>(bytes, 4);
    for (size_t i = 0; i < bytes; i += step) {
      const size_t end = std::min(i + step, bytes);
      bool holds = true, nothing = true;
      for (size_t k = i; k < end; ++k) {
        holds = holds && !is_unwritten(k);
        nothing = nothing && uint8_t(begin[k]) == kNothing;
      }
      if (holds) continue;
      if (!nothing) {
        for (size_t k = i; k < end; ++k) set_written(k);
        continue;
      }
      const std::lock_guard lock(unwritten_mutex_);
      if (!unwritten_.region || touch.block < unwritten_.touch.block) unwritten_ = {touch, &region, offset + i, bytes};
      break;
    }
  }
  if (kind == Access::write || kind == Access::atomic)
    for (size_t i = 0; i < bytes; ++i) set_written(i);
}

void ShadowChecker::launch_ends(const Launch& launch, uint32_t first_serial) {
  if (!unwritten_.region) return;
  const Region& region = *unwritten_.region;
  const Touch& touch = unwritten_.touch;
  const uint32_t number = touch.block - first_serial;
  std::string which;
  for (size_t i = 0; i < launch.pointer_count && which.empty(); ++i) {
    const char* p = static_cast<const char*>(launch.pointers[i].address);
    if (p >= region.begin && p < region.end) which = ", which argument " + std::to_string(i + 1) + " points into,";
  }
  throw KernelError(Defect::uninitialised_global,
                    std::string(name_of(Defect::uninitialised_global)) + ": kernel " + launch.kernel + " block " +
                        text_of(index_of(number, launch.grid)) + " thread " +
                        text_of(index_of(touch.thread, launch.block)) + " reads " + count_text(unwritten_.bytes) +
                        ", of which byte " + std::to_string(unwritten_.offset) + " of a buffer of " +
                        count_text(size_t(region.end - region.begin)) + which + " has been written by nobody, at " +
                        text_of(touch.place));
}

}  // namespace doppel::emulator
