// Memory that the host and the device can both use: plain memory, or managed memory when there is a card. Where it
// has none (some virtual machines), page-locked memory of the host, which a card reads at the same address, slowly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>

#if defined(DOPPEL_CUDA)
#include <cuda_runtime_api.h>
#endif

namespace doppel::testing {

#if defined(DOPPEL_CUDA)

inline bool card_present() {
  static const bool present = [] {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
  }();
  return present;
}
// Whether that card runs code for sm_90a.
inline bool hopper_present() {
  int major = 0;
  return card_present() && cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) == cudaSuccess &&
         major == 9;
}
// Waits for the card, so that the host may read what it wrote.
inline void settle() {
  if (card_present() && cudaDeviceSynchronize() != cudaSuccess) throw std::runtime_error("the card failed");
}

#else

inline bool card_present() {
  return false;
}
inline bool hopper_present() {
  return false;
}
inline void settle() {}

#endif

class Memory {
 public:
  Memory(size_t bytes, uint8_t fill) : bytes_(bytes) {
#if defined(DOPPEL_CUDA)
    if (card_present()) {
      void* memory = nullptr;
      if (cudaMallocManaged(&memory, bytes) == cudaSuccess) {
        of_ = Of::both;
      } else {
        cudaGetLastError();
        if (cudaHostAlloc(&memory, bytes, cudaHostAllocMapped | cudaHostAllocPortable) != cudaSuccess)
          throw std::bad_alloc();
        of_ = Of::host;
      }
      data_ = static_cast<uint8_t*>(memory);
    }
#endif
    if (!data_) data_ = new uint8_t[bytes];
    std::memset(data_, fill, bytes);
  }
  ~Memory() {
#if defined(DOPPEL_CUDA)
    if (of_ == Of::both) cudaFree(data_);
    if (of_ == Of::host) cudaFreeHost(data_);
    if (of_ != Of::none) return;
#endif
    delete[] data_;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint8_t* data() const {
    return data_;
  }
  size_t size() const {
    return bytes_;
  }

 private:
  enum class Of { none, both, host };  // CUDA's memory, of whom

  uint8_t* data_ = nullptr;
  size_t bytes_;
  [[maybe_unused]] Of of_ = Of::none;
};

}  // namespace doppel::testing
