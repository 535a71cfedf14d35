// Measuring on a device: memory, and times by events. The device is a CUDA card, or the emulator, on which benches are
// rehearsed with small shapes and times mean nothing.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/stream.h"
#include "runtime/buffer.h"

namespace doppel::bench {

// "" when there is a card to measure on, else why not.
std::string card_problem();

// Where everything below happens: Device::cuda, unless the program says Device::emulator first.
void use_device(Device device);
Device device_in_use();
// Its default stream.
Stream bench_stream(Library library = Library::doppel);

// Device memory, freed at the end of its life.
class CardMemory {
 public:
  explicit CardMemory(size_t bytes);

  void* data() const { return memory_.data(); }
  size_t bytes() const { return memory_.bytes(); }
  // Random elements, uniform in [low, high): products of zeros are faster than those of real data. u8: any.
  void fill(DType type, float low, float high);
  void upload(const void* from, size_t bytes);

 private:
  Buffer memory_;
};

// from and to are device memory.
void copy_on_card(void* to, const void* from, size_t bytes, Stream stream);

// Seconds. No time is taken for less: a rate is a number even where a clock did not move.
constexpr double kLeastTime = 1e-9;
// Of at least one value; where there is an even number of them, the upper of the two in the middle.
double median(std::vector<double> values);
double median_time(std::vector<double> seconds);

// Median seconds of `run` between two events, after warm-up; the L2 cache is overwritten before each, so that inputs
// come from memory. At least five runs, and then until `budget` seconds are over. On the emulator: one run.
double time_on_card(const std::function<void(Stream)>& run, double budget);

}  // namespace doppel::bench
