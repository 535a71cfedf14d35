// Consecutive pieces of one workspace. Private to kernels/*_cpu.cc.
#pragma once

#include <cstddef>

namespace doppel {

class Carver {
 public:
  explicit Carver(void* base) : base_(static_cast<char*>(base)) {}
  // 64-byte aligned. With a null base only the total is counted.
  void* take(size_t bytes) {
    char* p = base_ ? base_ + used_ : nullptr;
    used_ += (bytes + 63) / 64 * 64;
    return p;
  }
  size_t used() const { return used_; }

 private:
  char* base_;
  size_t used_ = 0;
};

}  // namespace doppel
