#include "runtime/buffer.h"

#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "kernels/emulator/emulator.h"
#include "kernels/emulator/faults.h"
#include "kernels/emulator/guard.h"
#include "kernels/emulator/recording.h"
#include "runtime/card/card.h"
#include "runtime/error.h"
#include "runtime/host_memory.h"

namespace doppel {
namespace {

std::atomic<uint64_t> allocations{0};

// Memory of the host with `bytes`.
void* map_memory(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw OutOfMemory(bytes, "", available_memory());
  // Arenas are swept from end to end every step: huge pages spare most of the page-table walks. A refusal costs
  // nothing.
  madvise(p, bytes, MADV_HUGEPAGE);
  return p;
}

bool dirty_memory() {
  const char* wanted = std::getenv("DOPPEL_DIRTY_MEMORY");
  return wanted && std::string(wanted) == "1";
}

void* allocate_emulated(size_t bytes, bool dirty) {
  emulator::refuse_in_recording("memory is allocated");
  emulator::fate_of(emulator::Operation::allocation);
  if (!emulator::take_memory(bytes)) throw OutOfMemory(bytes, "of the emulator", emulator::free_memory());
  void* p = nullptr;
  try {
    p = map_memory(bytes);
  } catch (...) {
    emulator::give_memory(bytes);
    throw;
  }
  if (dirty) std::memset(p, 0xFF, bytes);
  emulator::add_memory(p, bytes);
  if (emulator::guard_new_memory()) emulator::guard_memory(p, bytes);
  return p;
}

}  // namespace

Buffer::Buffer(size_t bytes, Device device, Fresh fresh) : Buffer(bytes, Stream{device, nullptr, {}}, fresh) {}

Buffer::Buffer(size_t bytes, Stream stream, Fresh fresh) : bytes_(bytes), stream_(stream) {
  if (bytes == 0) return;
  const bool dirty = fresh == Fresh::anything && dirty_memory();
  if (stream.device == Device::cuda) {
    data_ = card::allocate(bytes, stream.handle, !dirty);
  } else {
    data_ = stream.device == Device::cpu ? map_memory(bytes) : allocate_emulated(bytes, dirty);
    if (dirty && stream.device == Device::cpu) std::memset(data_, 0xFF, bytes);
  }
  if (stream.device != Device::cpu) ++allocations;
}

Buffer::~Buffer() {
  if (!data_) return;
  if (device() == Device::cuda) {
    card::release(data_, stream_.handle);
    return;
  }
  if (device() == Device::emulator) {
    emulator::unguard_memory(data_);
    emulator::remove_memory(data_);
    emulator::give_memory(bytes_);
  }
  munmap(data_, bytes_);
}

uint64_t device_allocations() {
  return allocations;
}

size_t available_memory() {
  uint64_t available = UINT64_MAX;
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  uint64_t kib = 0;
  while (meminfo >> key >> kib) {
    if (key == "MemAvailable:") available = kib * 1024;
    std::getline(meminfo, unit);
  }
  std::ifstream file("/proc/self/cgroup");
  const std::string groups{std::istreambuf_iterator<char>(file), {}};
  return size_t(std::min({available, control_group_room(groups, "/sys/fs/cgroup"), process_limit_room()}));
}

size_t resident_memory() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  statm >> total >> resident;
  return size_t(resident) * size_t(sysconf(_SC_PAGESIZE));
}

}  // namespace doppel
