// Memory on the card for what a kernel reads and writes.
#pragma once

#include <memory>
#include <vector>

#include "bench/card.h"
#include "kernels/dtype.h"

namespace doppel::bench {

// Operands of one case.
class Operands {
 public:
  void* add(DType type, int64_t count, float low = -1, float high = 1) {
    return add_bytes(size_t(count) * size_of(type), type, low, high);
  }
  float* add_floats(int64_t count, float low = -1, float high = 1) {
    return static_cast<float*>(add(DType::f32, count, low, high));
  }
  void* scratch(size_t bytes) { return add_bytes(bytes, DType::u8, 0, 1); }
  template <typename T>
  T* upload(const T& value) {
    void* p = scratch(sizeof(T));
    memory_.back()->upload(&value, sizeof(T));
    return static_cast<T*>(p);
  }

 private:
  void* add_bytes(size_t bytes, DType type, float low, float high) {
    memory_.push_back(std::make_unique<CardMemory>(bytes));
    memory_.back()->fill(type, low, high);
    return memory_.back()->data();
  }
  std::vector<std::unique_ptr<CardMemory>> memory_;
};

}  // namespace doppel::bench
