// The devices that a test can run on here, and the emulator's memory closed to the host.
#pragma once

#include <string>
#include <vector>

#include "backends.h"
#include "kernels/emulator/guard.h"
#include "runtime/device.h"

namespace doppel::testing {

inline const char* name_of(Device device) {
  return device == Device::cpu ? "cpu" : device == Device::emulator ? "emulator" : "cuda";
}

inline bool has_card() {
  return choose_device("auto") == Device::cuda;
}

// The CPU, the emulator, and a card where there is one: those of them that are wanted (tests/backends.h).
inline std::vector<Device> devices() {
  std::vector<Device> all;
  for (const Device device : {Device::cpu, Device::emulator, Device::cuda})
    if (backend_wanted(name_of(device)) && (device != Device::cuda || has_card())) all.push_back(device);
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
