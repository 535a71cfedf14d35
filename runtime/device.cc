#include "runtime/device.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/emulator/faults.h"
#include "kernels/emulator/guard.h"
#include "kernels/emulator/recording.h"
#include "runtime/card/card.h"
#include "runtime/error.h"

namespace doppel {
namespace {

using emulator::Fate;
using emulator::Operation;

// The N of "cuda:N", 0 for "cuda", -1 for anything else.
int card_of(const std::string& name) {
  if (name == "cuda") return 0;
  if (!name.starts_with("cuda:") || name.size() == 5 || name.size() > 8) return -1;
  int number = 0;
  for (char c : name.substr(5)) {
    if (c < '0' || c > '9') return -1;
    number = 10 * number + (c - '0');
  }
  return number;
}

void wait_on_emulator() {
  emulator::refuse_in_recording("the host waits");
  emulator::fate_of(Operation::wait);
}

void upload_to_emulator(void* device, const void* host, size_t bytes) {
  if (emulator::recorded([=] { upload_to_emulator(device, host, bytes); })) return;
  if (emulator::fate_of(Operation::upload) == Fate::left_out) return;
  const emulator::OpenMemory open;
  std::memcpy(device, host, bytes);
}

void download_from_emulator(void* host, const void* device, size_t bytes) {
  if (emulator::recorded([=] { download_from_emulator(host, device, bytes); })) return;
  const Fate fate = emulator::fate_of(Operation::download);
  // What a copy that was not made leaves is anything; this is at least nobody's data: 0x7F7F7F7F is 3.4e38.
  if (fate == Fate::left_out) return void(std::memset(host, 0x7F, bytes));
  const emulator::OpenMemory open;
  std::memcpy(host, device, bytes);
  if (fate == Fate::corrupted)
    static_cast<uint8_t*>(host)[std::min(bytes / 8 * 4 + 3, bytes - 1)] ^= 0x40;  // an fp32's exponent
}

}  // namespace

bool is_device_name(const std::string& name) {
  return name == "auto" || name == "cpu" || name == "emulator" || card_of(name) >= 0;
}

Device choose_device(const std::string& name) {
  if (name == "cpu") return Device::cpu;
  if (name == "emulator") return Device::emulator;
  if (name == "auto") {
    for (int i = 0; i < card::count(); ++i) {
      if (!card::problem(i).empty()) continue;
      card::use(i);
      return Device::cuda;
    }
    return Device::cpu;
  }
  const int index = card_of(name);
  if (index < 0) throw UsageError("--device " + name + ": give auto, cpu, emulator, cuda, or cuda:N for card N");
  const std::string problem = card::problem(index);
  if (!problem.empty()) throw Error("--device " + name + ": " + problem);
  card::use(index);
  return Device::cuda;
}

std::string why_no_card() {
  return card::problem(0);
}

bool built_for_cards() {
  return card::built();
}

std::string describe(Device device) {
  return device == Device::cpu ? "cpu" : device == Device::emulator ? "emulator" : card::name();
}

size_t available_memory(Device device) {
  return device == Device::cuda ? card::free_memory() : available_memory();
}

DeviceStream::DeviceStream(Device device) {
  stream_.device = device;
  if (device == Device::cuda) stream_.handle = card::new_stream();
}

DeviceStream::~DeviceStream() {
  if (stream_.handle) card::delete_stream(stream_.handle);
}

void wait(Stream stream) {
  if (stream.device == Device::cuda) card::wait_for_stream(stream.handle);
  if (stream.device == Device::emulator) wait_on_emulator();
}

DeviceEvent::DeviceEvent(Device device) : device_(device) {
  if (device == Device::cuda) handle_ = card::new_event();
}

DeviceEvent::~DeviceEvent() {
  if (handle_) card::delete_event(handle_);
}

void DeviceEvent::record(Stream stream) {
  if (device_ == Device::cuda)
    card::record(handle_, stream.handle);
  else if (device_ == Device::emulator)
    emulator::fate_of(Operation::record);
  time_ = Clock::now();
}

void DeviceEvent::wait() const {
  if (device_ == Device::cuda) card::wait_for_event(handle_);
  if (device_ == Device::emulator) wait_on_emulator();
}

void DeviceEvent::order(Stream stream) const {
  if (device_ == Device::cuda) card::order(stream.handle, handle_);
}

double DeviceEvent::seconds_since(const DeviceEvent& start) const {
  if (device_ == Device::cuda) return card::seconds_between(start.handle_, handle_);
  return std::chrono::duration<double>(time_ - start.time_).count();
}

DeviceGraph::DeviceGraph(Stream stream, const std::function<void()>& body) {
  if (stream.device == Device::emulator) {
    emulated_ = std::make_unique<emulator::Recording>(body);
    return;
  }
  card::begin_recording(stream.handle);
  try {
    body();
  } catch (...) {
    card::abandon_recording(stream.handle);
    throw;
  }
  handle_ = card::end_recording(stream.handle);
}

DeviceGraph::DeviceGraph() = default;

DeviceGraph::~DeviceGraph() {
  if (handle_) card::delete_graph(handle_);
}

DeviceGraph::DeviceGraph(DeviceGraph&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), emulated_(std::move(other.emulated_)) {}

DeviceGraph& DeviceGraph::operator=(DeviceGraph&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(emulated_, other.emulated_);
  return *this;
}

void DeviceGraph::launch(Stream stream) const {
  if (emulated_)
    emulated_->launch();
  else
    card::launch_graph(handle_, stream.handle);
}

PinnedBuffer::PinnedBuffer(size_t bytes, Device device) : bytes_(bytes) {
  if (bytes == 0) return;
  if (device == Device::cuda)
    pinned_ = card::allocate_pinned(bytes);
  else
    plain_ = Buffer(bytes);
}

PinnedBuffer::~PinnedBuffer() {
  if (pinned_) card::release_pinned(pinned_);
}

void upload(void* device, const void* host, size_t bytes, Stream stream) {
  if (bytes == 0) return;
  if (stream.device == Device::cuda) return card::upload(device, host, bytes, stream.handle);
  if (stream.device == Device::emulator) return upload_to_emulator(device, host, bytes);
  std::memcpy(device, host, bytes);
}

void download(void* host, const void* device, size_t bytes, Stream stream) {
  if (bytes == 0) return;
  if (stream.device == Device::cuda) return card::download(host, device, bytes, stream.handle);
  if (stream.device == Device::emulator) return download_from_emulator(host, device, bytes);
  std::memcpy(host, device, bytes);
}

HostCopy::HostCopy(const Buffer& buffer, Stream stream)
    : device_(buffer.data()), bytes_(buffer.bytes()), stream_(stream), data_(buffer.data()) {
  if (buffer.device() == Device::cpu) return;
  copy_ = Buffer(bytes_);
  data_ = copy_.data();
  download(data_, device_, bytes_, stream_);
  wait(stream_);
}

void HostCopy::write_back() {
  if (data_ == device_) return;
  upload(device_, data_, bytes_, stream_);
  wait(stream_);
}

}  // namespace doppel
