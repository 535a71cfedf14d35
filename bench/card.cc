#include "bench/card.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "kernels/philox.h"
#include "runtime/clock.h"
#include "runtime/device.h"

#if defined(DOPPEL_CUDA)
#include <cuda_runtime_api.h>
#endif

namespace doppel::bench {
namespace {

Device device = Device::cuda;

#if defined(DOPPEL_CUDA)

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

// Overwrites twice as much as the L2 cache of this card holds.
void flush_cache() {
  static const CardMemory memory([] {
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, 0), "the size of the cache");
    return size_t(2) * size_t(std::max(bytes, 1 << 20));
  }());
  check(cudaMemsetAsync(memory.data(), 0, memory.bytes(), nullptr), "flushing the cache");
}

void copy_on_cuda(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(stream.handle)), "a copy");
}

#else

// Without CUDA the device is the emulator: choose_device() has seen to it.
void flush_cache() {}
void copy_on_cuda(void*, const void*, size_t, Stream) {}

#endif

// Of random numbers memory is filled with, again and again; its length is no power of two, so that rows differ.
constexpr size_t kPiece = 12'000'012;

// Kept: many operands are filled alike.
const std::vector<unsigned char>& random_piece(DType type, float low, float high) {
  static std::map<std::tuple<DType, float, float>, std::vector<unsigned char>> pieces;
  std::vector<unsigned char>& host = pieces[{type, low, high}];
  if (!host.empty()) return host;
  host.resize(kPiece);
  Random random(1, 0, 0);
  const size_t size = size_of(type);
  for (size_t i = 0; i + size <= kPiece; i += size) {
    const float v = random.uniform(low, high);
    const Bf16 b = to_bf16(v);
    const auto byte = static_cast<unsigned char>(random.bits());
    const void* from = type == DType::f32    ? static_cast<const void*>(&v)
                       : type == DType::bf16 ? static_cast<const void*>(&b)
                                             : &byte;
    std::copy_n(static_cast<const unsigned char*>(from), size, host.data() + i);
  }
  return host;
}

}  // namespace

std::string card_problem() {
  try {
    choose_device("cuda");
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

void use_device(Device d) {
  device = d;
}

Device device_in_use() {
  return device;
}

Stream bench_stream(Library library) {
  return {device, nullptr, library};
}

CardMemory::CardMemory(size_t bytes) : memory_(std::max<size_t>(bytes, 1), device) {}

void CardMemory::fill(DType type, float low, float high) {
  const std::vector<unsigned char>& host = random_piece(type, low, high);
  for (size_t at = 0; at < bytes(); at += kPiece)
    doppel::upload(memory_.as<char>() + at, host.data(), std::min(kPiece, bytes() - at), bench_stream());
  wait(bench_stream());
}

void CardMemory::upload(const void* from, size_t bytes) {
  if (bytes > memory_.bytes()) throw std::length_error("an upload beyond its memory");
  doppel::upload(memory_.data(), from, bytes, bench_stream());
  wait(bench_stream());
}

void copy_on_card(void* to, const void* from, size_t bytes, Stream stream) {
  stream.device == Device::cuda ? copy_on_cuda(to, from, bytes, stream) : void(std::memcpy(to, from, bytes));
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double median_time(std::vector<double> seconds) {
  return std::max(median(std::move(seconds)), kLeastTime);
}

double time_on_card(const std::function<void(Stream)>& run, double budget) {
  const Stream stream = bench_stream();
  const auto once = [&] {
    DeviceEvent start(stream.device), end(stream.device);
    if (stream.device == Device::cuda) flush_cache();
    start.record(stream);
    run(stream);
    end.record(stream);
    return end.seconds_since(start);
  };
  if (stream.device == Device::emulator) return std::max(once(), kLeastTime);
  for (int i = 0; i < 3; ++i) once();
  std::vector<double> times;
  const auto begin = Clock::now();
  while (times.size() < 5 || since(begin) < budget) times.push_back(once());
  return median_time(std::move(times));
}

}  // namespace doppel::bench
