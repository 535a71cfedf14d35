// Owned memory of a device, 64-byte aligned, zeroed. The host reads and writes that of Device::cpu; of the others it
// copies (runtime/device.h), also where, as on the emulator, it could do otherwise.
#pragma once

#include <cstddef>
#include <utility>

#include "kernels/stream.h"

namespace doppel {

class Buffer {
 public:
  Buffer() = default;
  // Throws Error when there is not so much memory.
  explicit Buffer(size_t bytes, Device device = Device::cpu);
  ~Buffer();
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)), device_(other.device_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(device_, other.device_);
    return *this;
  }

  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Device device_ = Device::cpu;
};

// Memory that a new buffer may take without the machine running out: what the system calls available, and what the
// process's control group still allows, whichever is less.
size_t available_memory();

// What the process holds now (resident set), in bytes.
size_t resident_memory();

}  // namespace doppel
