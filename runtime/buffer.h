// Owned memory of a device, 64-byte aligned, zeroed (but see Fresh). The host reads and writes that of Device::cpu; of
// the others it copies (runtime/device.h), also where, as on the emulator, it could do otherwise.
//
// Memory of a stream is there, and zero, for what comes later in that stream; it is given back when the stream has
// come to where it was destroyed. Nothing waits. Another stream that uses it is ordered after its making and before its
// end by an event (DeviceEvent::order); the stream outlives it. Memory of a device without a stream is for any stream,
// at once: making it waits until it is zeroed, and its end until the card has done what it was given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/stream.h"

namespace doppel {

// What is in new memory: zeros, or anything, because nothing is read there that has not been written before. That, too,
// is zeroed, so that a mistake shows the same in each run, unless the environment says DOPPEL_DIRTY_MEMORY=1, which is
// for finding the mistake: a card then leaves the memory as it is, so that compute-sanitizer's initcheck sees what
// nobody wrote, and on the CPU and the emulator it is NaN.
enum class Fresh { zero, anything };

class Buffer {
 public:
  Buffer() = default;
  // Throw OutOfMemory, which says how much was asked for and what is free, when there is not so much memory, and
  // DeviceError when the device has failed.
  explicit Buffer(size_t bytes, Device device = Device::cpu, Fresh fresh = Fresh::zero);
  Buffer(size_t bytes, Stream stream, Fresh fresh = Fresh::zero);
  ~Buffer();
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)), stream_(other.stream_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(stream_, other.stream_);
    return *this;
  }

  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }
  Device device() const { return stream_.device; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Stream stream_;  // its handle is null when the memory is of no stream
};

// Buffers that were made on a device other than the CPU since the program began, of any thread. A training run makes
// none after its first step.
uint64_t device_allocations();

// Memory that a new buffer may take without the machine running out: the least of what the system calls available, what
// the process's control groups still allow, and what its own limits do (runtime/host_memory.h).
size_t available_memory();

// What the process holds now (resident set), in bytes.
size_t resident_memory();

}  // namespace doppel
