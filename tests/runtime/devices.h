// The devices that a test can run on here, and the emulator's memory closed to the host.
#pragma once

#include <string>
#include <vector>

#include "kernels/emulator/guard.h"
#include "runtime/device.h"

namespace doppel::testing {

inline const char* name_of(Device device) {
  return device == Device::cpu ? "cpu" : device == Device::emulator ? "emulator" : "cuda";
}

// The CPU, the emulator, and a card where there is one.
inline std::vector<Device> devices() {
  std::vector<Device> all{Device::cpu, Device::emulator};
  if (choose_device("auto") == Device::cuda) all.push_back(Device::cuda);
  return all;
}

// While it lives, new memory of the emulator crashes when the host's code touches it.
struct Guard {
  Guard() { emulator::guard_new_memory() = true; }
  ~Guard() { emulator::guard_new_memory() = false; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
};

}  // namespace doppel::testing
