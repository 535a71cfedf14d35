// Which device the work runs on, and what is owned there beside memory (runtime/buffer.h): streams, events, page-locked
// host memory. Copies between host and device go through upload() and download() alone, whatever the device: on the
// CPU and the emulator they are memcpy, and of everything else here only graphs and faults do something there.
//
// A card tells of its failure late, at whatever it is asked next: all functions here may throw DeviceError
// (kernels/device_error.h) for work of others before them. Destructors throw nothing and say nothing. Tests make the
// emulator fail in the same way (kernels/emulator/faults.h).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "kernels/stream.h"
#include "runtime/buffer.h"
#include "runtime/clock.h"

namespace doppel {

namespace emulator {
class Recording;
}

// What a user names: "cpu", "emulator", "cuda" (card 0), "cuda:N", or "auto": the first card that can be used, else the
// CPU. A card becomes the process's, for all its threads. Throws UsageError for anything else, Error, with the reason
// and what to do, when that card cannot be used, and DeviceError when it fails at once.
Device choose_device(const std::string& name);
// Why "auto" takes no card: what the first one, or the build, lacks, one line. "" when that one can be used. Throws
// DeviceError when the card fails.
std::string why_no_card();
// Whether `name` is one of those above, be there such a card or not.
bool is_device_name(const std::string& name);

// Whether this build has the kernels of a card, be there one or not.
bool built_for_cards();

// "cpu", "emulator", or the name of the card.
std::string describe(Device device);

// What a new Buffer on the device may take: of the card's memory, or available_memory().
size_t available_memory(Device device);

// A queue of work on a device, which outlives everything that uses its Stream.
class DeviceStream {
 public:
  explicit DeviceStream(Device device);
  ~DeviceStream();
  DeviceStream(DeviceStream&& other) noexcept : stream_(std::exchange(other.stream_, {})) {}
  DeviceStream& operator=(DeviceStream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }

  operator Stream() const { return stream_; }
  Device device() const { return stream_.device; }

 private:
  Stream stream_;
};

// Waits until everything in the stream has been done. Throws DeviceError when any of it failed.
void wait(Stream stream);

// A point in a stream.
class DeviceEvent {
 public:
  explicit DeviceEvent(Device device);
  ~DeviceEvent();
  DeviceEvent(DeviceEvent&& other) noexcept
      : device_(other.device_), handle_(std::exchange(other.handle_, nullptr)), time_(other.time_) {}
  DeviceEvent& operator=(DeviceEvent&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    std::swap(time_, other.time_);
    return *this;
  }

  void record(Stream stream);
  // The host waits for it.
  void wait() const;
  // What comes later in `stream` waits for it.
  void order(Stream stream) const;
  // On the device's clock; waits for this event.
  double seconds_since(const DeviceEvent& start) const;

 private:
  Device device_;
  void* handle_ = nullptr;
  Clock::time_point time_;  // off the card, where what is recorded is done
};

// Memory of the host, zeroed; for Device::cuda page-locked, so that copies need not wait for each other.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  PinnedBuffer(size_t bytes, Device device);
  ~PinnedBuffer();
  PinnedBuffer(PinnedBuffer&& other) noexcept
      : plain_(std::move(other.plain_)), pinned_(std::exchange(other.pinned_, nullptr)), bytes_(other.bytes_) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(plain_, other.plain_);
    std::swap(pinned_, other.pinned_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  template <typename T>
  T* as() const {
    return static_cast<T*>(pinned_ ? pinned_ : plain_.data());
  }
  size_t bytes() const { return bytes_; }

 private:
  Buffer plain_;
  void* pinned_ = nullptr;
  size_t bytes_ = 0;
};

// Work of a card, recorded once and from then on launched in one piece, which costs the host a few microseconds however
// much it is. Whatever memory the work reads and writes must stay. The emulator records as a card does
// (kernels/emulator/recording.h).
class DeviceGraph {
 public:
  DeviceGraph();
  // Calls `body`, whose work in the stream is recorded and not done. The stream is not Device::cuda's default one, nor
  // the CPU's. `body` neither waits for anything nor allocates.
  DeviceGraph(Stream stream, const std::function<void()>& body);
  ~DeviceGraph();
  DeviceGraph(DeviceGraph&& other) noexcept;
  DeviceGraph& operator=(DeviceGraph&& other) noexcept;

  explicit operator bool() const { return handle_ != nullptr || emulated_ != nullptr; }
  void launch(Stream stream) const;

 private:
  void* handle_ = nullptr;  // of a card
  std::unique_ptr<emulator::Recording> emulated_;
};

// Copies, in the order of the stream. On a card, page-locked memory must stay as it is (or must not be read) until the
// stream has come so far; of other memory of the host that is so when this returns.
void upload(void* device, const void* host, size_t bytes, Stream stream);
void download(void* host, const void* device, size_t bytes, Stream stream);

// What a buffer holds, for the host to read and change: the buffer's own memory on the CPU, else a copy of it.
class HostCopy {
 public:
  // Waits for the stream.
  HostCopy(const Buffer& buffer, Stream stream);

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  // Copies it back.
  void write_back();

 private:
  void* device_;
  size_t bytes_;
  Stream stream_;
  Buffer copy_;
  void* data_;
};

}  // namespace doppel
