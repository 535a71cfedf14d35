#include "bench/card.h"

#if defined(DOPPEL_CUDA)
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <vector>

#include "kernels/philox.h"
#endif

namespace doppel::bench {

#if defined(DOPPEL_CUDA)

namespace {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "an event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record() { check(cudaEventRecord(event_, nullptr), "an event"); }
  double seconds_since(const Event& start) const {
    check(cudaEventSynchronize(event_), "waiting for the card");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start.event_, event_), "a time");
    return double(milliseconds) * 1e-3;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

// Twice the L2 cache of this card.
CardMemory& flush_memory() {
  static CardMemory memory([] {
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, 0), "the size of the cache");
    return size_t(2) * size_t(std::max(bytes, 1 << 20));
  }());
  return memory;
}

}  // namespace

std::string card_problem() {
  int cards = 0;
  const cudaError_t status = cudaGetDeviceCount(&cards);
  if (status != cudaSuccess) return cudaGetErrorString(status);
  return cards > 0 ? "" : "there is no CUDA card";
}

std::string card_name() {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "the card's name");
  return properties.name;
}

CardMemory::CardMemory(size_t bytes) : bytes_(bytes) {
  check(cudaMalloc(&data_, std::max<size_t>(bytes, 1)), "memory on the card");
}

CardMemory::~CardMemory() {
  cudaFree(data_);
}

void CardMemory::fill(DType type, float low, float high) {
  // One piece of random numbers, again and again; its length is no power of two, so that rows differ.
  const size_t piece = std::min<size_t>(bytes_, size_t(12'000'012));
  std::vector<unsigned char> host(piece + 4);
  Random random(1, 0, 0);
  const size_t size = size_of(type);
  for (size_t i = 0; i + size <= piece; i += size) {
    const float v = random.uniform(low, high);
    const Bf16 b = to_bf16(v);
    const auto byte = static_cast<unsigned char>(random.bits());
    const void* from = type == DType::f32    ? static_cast<const void*>(&v)
                       : type == DType::bf16 ? static_cast<const void*>(&b)
                                             : &byte;
    std::copy_n(static_cast<const unsigned char*>(from), size, host.data() + i);
  }
  for (size_t at = 0; at < bytes_; at += piece)
    check(cudaMemcpy(static_cast<char*>(data_) + at, host.data(), std::min(piece, bytes_ - at), cudaMemcpyHostToDevice),
          "filling memory");
}

void CardMemory::upload(const void* from, size_t bytes) {
  if (bytes > bytes_) throw std::length_error("an upload beyond its memory");
  check(cudaMemcpy(data_, from, bytes, cudaMemcpyHostToDevice), "an upload");
}

void copy_on_card(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(stream.handle)), "a copy");
}

double time_on_card(const std::function<void(Stream)>& run, double budget) {
  const Stream stream{Device::cuda, nullptr};
  CardMemory& flush = flush_memory();
  const auto once = [&] {
    Event start, end;
    check(cudaMemsetAsync(flush.data(), 0, flush.bytes(), nullptr), "flushing the cache");
    start.record();
    run(stream);
    end.record();
    return end.seconds_since(start);
  };
  for (int i = 0; i < 3; ++i) once();
  std::vector<double> times;
  const auto begin = std::chrono::steady_clock::now();
  while (times.size() < 5 || std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < budget)
    times.push_back(once());
  std::nth_element(times.begin(), times.begin() + std::ptrdiff_t(times.size() / 2), times.end());
  return times[times.size() / 2];
}

#else

std::string card_problem() {
  return "this build has no CUDA";
}
std::string card_name() {
  return "";
}
CardMemory::CardMemory(size_t bytes) : bytes_(bytes) {}
CardMemory::~CardMemory() = default;
void CardMemory::fill(DType, float, float) {}
void CardMemory::upload(const void*, size_t) {}
void copy_on_card(void*, const void*, size_t, Stream) {}
double time_on_card(const std::function<void(Stream)>&, double) {
  return 0;
}

#endif

}  // namespace doppel::bench
