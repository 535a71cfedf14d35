// The CUDA runtime behind runtime/card/card.h: the card, and what all calls share. Memory and copies are
// cuda_memory.cc; streams, events and graphs are cuda_streams.cc.
#include <atomic>
#include <cstdint>

#include "kernels/device_error.h"
#include "runtime/card/card.h"
#include "runtime/card/cuda_calls.h"
#include "runtime/error.h"

namespace doppel::card {
namespace {

// The oldest architecture that the kernels are compiled for (cmake/Kernels.cmake).
constexpr int kOldest = 80;

// The card that use() named; -1: none yet, and CUDA's own choice holds.
std::atomic<int> chosen{-1};

}  // namespace

cudaMemPool_t pool_of_card() {
  int index = chosen, supported = 0;
  cudaMemPool_t pool = nullptr;
  if (index < 0 && cudaGetDevice(&index) != cudaSuccess) return nullptr;
  if (cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, index) != cudaSuccess || !supported)
    return nullptr;
  return cudaDeviceGetDefaultMemPool(&pool, index) == cudaSuccess ? pool : nullptr;
}

size_t free_or_ours() {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  uint64_t reserved = 0, used = 0;
  const cudaMemPool_t pool = pool_of_card();
  if (pool && cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved) == cudaSuccess &&
      cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used) == cudaSuccess)
    free += reserved - used;
  return free;
}

void check(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or a later call would report this one again
  const std::string text = failure_text(cudaGetErrorString(status), expression, file, line);
  // Also of calls that allocate behind our back: a stream, a graph, a kernel's code.
  if (status == cudaErrorMemoryAllocation)
    throw OutOfMemory(text + "; " + std::to_string(free_or_ours() >> 20) +
                      " MiB of the card are free; use a smaller --batch (doppel plan shows what a run needs), or close "
                      "what else uses the card");
  throw DeviceError(text);
}

void give_back(cudaError_t status) {
  if (status != cudaSuccess) cudaGetLastError();
}

void enter() {
  static thread_local int current = -1;
  const int index = chosen.load(std::memory_order_relaxed);
  if (index == current) return;
  CHECK_CUDA(cudaSetDevice(index));
  current = index;
}

bool built() {
  return true;
}

int count() {
  int cards = 0;
  if (cudaGetDeviceCount(&cards) == cudaSuccess) return cards;
  cudaGetLastError();
  return 0;
}

std::string problem(int index) {
  int cards = 0;
  const cudaError_t status = cudaGetDeviceCount(&cards);
  if (status != cudaSuccess && status != cudaErrorNoDevice) {
    cudaGetLastError();
    return "no NVIDIA driver that this build can use (" + std::string(cudaGetErrorString(status)) +
           "); install or update the driver, or use --device cpu";
  }
  if (cards == 0) return "there is no NVIDIA card here; use --device cpu";
  if (index < 0 || index >= cards)
    return "there is no card " + std::to_string(index) + ", only 0 to " + std::to_string(cards - 1) +
           "; name one of those, or use --device cpu";
  int major = 0, minor = 0;
  CHECK_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index));
  CHECK_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index));
  if (10 * major + minor < kOldest)
    return "card " + std::to_string(index) + " is of compute capability " + std::to_string(major) + "." +
           std::to_string(minor) + ", the kernels need 8.0; use another card, or --device cpu";
  return "";
}

void use(int index) {
  chosen = index;
  enter();
  // What is given back to the pool stays the process's, so that what it has once had it need not fear to lose. The
  // default threshold is 0: the pool shrinks whenever somebody waits.
  uint64_t threshold = UINT64_MAX;
  if (const cudaMemPool_t pool = pool_of_card())
    CHECK_CUDA(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
}

std::string name() {
  enter();
  int index = 0;
  cudaDeviceProp properties{};
  CHECK_CUDA(cudaGetDevice(&index));
  CHECK_CUDA(cudaGetDeviceProperties(&properties, index));
  return properties.name;
}

size_t free_memory() {
  enter();
  size_t free = 0, total = 0;
  CHECK_CUDA(cudaMemGetInfo(&free, &total));
  return free_or_ours();
}

size_t total_memory() {
  enter();
  size_t free = 0, total = 0;
  CHECK_CUDA(cudaMemGetInfo(&free, &total));
  return total;
}

}  // namespace doppel::card
