#include "kernels/emulator/shared_memory.h"

#include <cstring>

#include "kernels/device/launch_limits.h"
#include "kernels/emulator/block.h"
#include "kernels/emulator/checker.h"
#include "kernels/emulator/cluster.h"

namespace doppel::emulator {
namespace {

constexpr size_t kGap = 128;  // at least, between shared arrays; a multiple of every alignment that the macros promise

}  // namespace

void Block::reset_shared_memory() {
  arrays_.clear();
  std::memset(arena_, 0xFF, kGap + launch_->shared);
  dynamic_ = arena_ + kGap;
  cluster_.arena_used = kGap + (launch_->shared + 2 * kGap - 1) / kGap * kGap;
}

void* Block::shared_array(const SharedArray& array) {
  for (const Placed& p : arrays_)
    if (p.array == &array) return p.memory;
  unsigned char* const memory = arena_ + place_of(array);
  std::memset(memory, 0xFF, array.bytes);
  arrays_.push_back({&array, memory});
  if (checker) checker->shared_appears(*this, memory, array.bytes, array.name);
  return memory;
}

size_t Block::place_of(const SharedArray& array) {
  for (const Cluster::Place& p : cluster_.places)
    if (p.array == &array) return p.offset;
  size_t &static_used = cluster_.static_used, &used = cluster_.arena_used;
  static_used = (static_used + array.alignment - 1) / array.alignment * array.alignment + array.bytes;
  const LaunchLimits& a = launch_limits(options().sm);
  const std::string on = " with " + std::string(array.name) + ", at most ";
  if (static_used > a.shared_static)
    fail(Defect::launch,
         ": " + std::to_string(static_used) + " bytes of static shared memory" + on + std::to_string(a.shared_static));
  if (static_used + launch_->shared > a.shared_with_opt_in)
    fail(Defect::launch, ": " + std::to_string(static_used + launch_->shared) + " bytes of shared memory" + on +
                             std::to_string(a.shared_with_opt_in) + " on sm_" + std::to_string(a.sm));
  // No better aligned than its type asks for: on a card nothing promises more.
  used = (used + 2 * array.alignment - 1) / (2 * array.alignment) * (2 * array.alignment);
  const size_t offset = used + array.alignment;
  used += (array.alignment + array.bytes + 2 * kGap - 1) / kGap * kGap;
  cluster_.places.push_back({&array, offset});
  return offset;
}

void* shared_array(const SharedArray& array) {
  return running_block()->shared_array(array);
}

unsigned char* shared_dynamic() {
  return running_block()->dynamic();
}

}  // namespace doppel::emulator
