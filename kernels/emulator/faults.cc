#include "kernels/emulator/faults.h"

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/device_error.h"

namespace doppel::emulator {
namespace {

struct State {
  std::mutex mutex;
  std::atomic<bool> planted{false};  // so that the whole device pays one load
  FaultPlan plan;
  bool told = false;  // the host knows that the device is lost
  std::vector<Operation> operations;
  size_t taken = 0;
};

State& state() {
  static State s;
  return s;
}

}  // namespace

const char* name_of(Operation operation) {
  constexpr const char* kNames[kOperations] = {"allocation", "launch", "upload", "download", "record", "wait"};
  return kNames[size_t(operation)];
}

Faults::Faults(const FaultPlan& plan) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.planted) throw std::logic_error("the emulator has faults already");
  s.plan = plan;
  s.told = false;
  s.operations.clear();
  s.planted = true;
}

Faults::~Faults() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.plan = {};
  s.planted = false;
}

std::vector<Operation> Faults::operations() const {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.operations;
}

Fate fate_of(Operation operation) {
  State& s = state();
  if (!s.planted.load(std::memory_order_relaxed)) return Fate::done;
  const std::lock_guard lock(s.mutex);
  const uint64_t number = s.operations.size();
  s.operations.push_back(operation);
  if (number >= s.plan.lost_at) {
    const bool asks = operation == Operation::allocation || operation == Operation::wait;
    if (s.plan.late && !s.told && !asks) return Fate::left_out;
    s.told = true;
    throw DeviceError("emulator: the device is lost, by order of a test, at operation " + std::to_string(number) +
                      " (" + name_of(operation) + ")");
  }
  return number == s.plan.left_out ? Fate::left_out : number == s.plan.corrupted ? Fate::corrupted : Fate::done;
}

bool take_memory(size_t bytes) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.plan.memory < s.taken || bytes > s.plan.memory - s.taken) return false;
  s.taken += bytes;
  return true;
}

void give_memory(size_t bytes) noexcept {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.taken -= bytes;
}

size_t free_memory() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.plan.memory == SIZE_MAX) return SIZE_MAX;
  return s.plan.memory > s.taken ? s.plan.memory - s.taken : 0;
}

}  // namespace doppel::emulator
