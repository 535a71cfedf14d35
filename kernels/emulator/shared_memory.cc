#include "kernels/emulator/shared_memory.h"

#include <cstring>

#include "kernels/device/launch_limits.h"
#include "kernels/emulator/block.h"
#include "kernels/emulator/checker.h"

namespace doppel::emulator {
namespace {

constexpr size_t kGap = 128;  // at least, between shared arrays; a multiple of every alignment that the macros promise

}  // namespace

void Block::reset_shared_memory() {
  arrays_.clear();
  static_used_ = 0;
  std::memset(arena_, 0xFF, kGap + launch_->shared);
  dynamic_ = arena_ + kGap;
  arena_used_ = kGap + (launch_->shared + 2 * kGap - 1) / kGap * kGap;
}

void* Block::shared_array(const SharedArray& array) {
  for (const Placed& p : arrays_)
    if (p.array == &array) return p.memory;
  static_used_ = (static_used_ + array.alignment - 1) / array.alignment * array.alignment + array.bytes;
  const LaunchLimits& a = launch_limits(options().sm);
  const std::string on = " with " + std::string(array.name) + ", at most ";
  if (static_used_ > a.shared_static)
    fail(Defect::launch,
         ": " + std::to_string(static_used_) + " bytes of static shared memory" + on + std::to_string(a.shared_static));
  if (static_used_ + launch_->shared > a.shared_with_opt_in)
    fail(Defect::launch, ": " + std::to_string(static_used_ + launch_->shared) + " bytes of shared memory" + on +
                             std::to_string(a.shared_with_opt_in) + " on sm_" + std::to_string(a.sm));
  // No better aligned than its type asks for: on a card nothing promises more.
  arena_used_ = (arena_used_ + 2 * array.alignment - 1) / (2 * array.alignment) * (2 * array.alignment);
  unsigned char* memory = arena_ + arena_used_ + array.alignment;
  std::memset(memory, 0xFF, array.bytes);
  arena_used_ += (array.alignment + array.bytes + 2 * kGap - 1) / kGap * kGap;
  arrays_.push_back({&array, memory});
  if (checker) checker->shared_appears(memory, array.bytes, array.name);
  return memory;
}

void* shared_array(const SharedArray& array) {
  return running_block()->shared_array(array);
}

unsigned char* shared_dynamic() {
  return running_block()->dynamic();
}

}  // namespace doppel::emulator
