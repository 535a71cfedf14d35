// Measuring on a CUDA card: memory, and times by events. In a build without CUDA there is never a card.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel::bench {

// "" when there is a card to measure on, else why not.
std::string card_problem();
std::string card_name();

// Device memory, freed at the end of its life.
class CardMemory {
 public:
  explicit CardMemory(size_t bytes);
  ~CardMemory();
  CardMemory(const CardMemory&) = delete;
  CardMemory& operator=(const CardMemory&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Random elements, uniform in [low, high): products of zeros are faster than those of real data. u8: any.
  void fill(DType type, float low, float high);
  void upload(const void* from, size_t bytes);

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

// from and to are device memory.
void copy_on_card(void* to, const void* from, size_t bytes, Stream stream);

// Median seconds of `run` between two events, after warm-up; the L2 cache is overwritten before each, so that inputs
// come from memory. At least five runs, and then until `budget` seconds are over.
double time_on_card(const std::function<void(Stream)>& run, double budget);

}  // namespace doppel::bench
