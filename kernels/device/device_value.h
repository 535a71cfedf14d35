// One number in device memory that the host reads back: for launchers that return something, which only checks do. It
// is allocated each time, and reading it waits for the stream.
#pragma once

#include "kernels/device/launch.h"

#if !DOPPEL_ON_CARD
#include "kernels/emulator/emulator.h"
#endif

namespace doppel {

#if DOPPEL_ON_CARD

// kernels/device/launch.cu; each throws DeviceError (kernels/device_error.h).
void* device_value_new(const void* value, size_t bytes, Stream stream);
void device_value_get(void* value, const void* pointer, size_t bytes, Stream stream);
void device_value_delete(void* pointer, Stream stream);

template <typename T>
class DeviceValue {
 public:
  DeviceValue(T value, Stream stream)
      : stream_(stream), pointer_(static_cast<T*>(device_value_new(&value, sizeof(T), stream))) {}
  ~DeviceValue() { device_value_delete(pointer_, stream_); }
  DeviceValue(const DeviceValue&) = delete;
  DeviceValue& operator=(const DeviceValue&) = delete;

  T* pointer() { return pointer_; }
  T get() const {
    T value;
    device_value_get(&value, pointer_, sizeof(T), stream_);
    return value;
  }

 private:
  Stream stream_;
  T* pointer_;
};

#else

template <typename T>
class DeviceValue {
 public:
  DeviceValue(T value, Stream) : value_(value) {
    emulator::refuse_in_recording("a number is read back");
    emulator::add_memory(&value_, sizeof(T));
  }
  ~DeviceValue() { emulator::remove_memory(&value_); }
  DeviceValue(const DeviceValue&) = delete;
  DeviceValue& operator=(const DeviceValue&) = delete;

  T* pointer() { return &value_; }
  T get() const { return value_; }

 private:
  T value_;
};

#endif

}  // namespace doppel
