// Where kernels for compute capability 9.0 are tested.
#pragma once

#include "kernels/harness.h"

namespace doppel::testing {

// An emulator of sm_90 while it lives.
struct EmulatedHopper {
  emulator::Options before = emulator::options();
  explicit EmulatedHopper(emulator::Order order = emulator::Order::forward) {
    emulator::options().sm = 90;
    emulator::options().blocks = emulator::options().warps = order;
  }
  ~EmulatedHopper() { emulator::options() = before; }
  EmulatedHopper(const EmulatedHopper&) = delete;
  EmulatedHopper& operator=(const EmulatedHopper&) = delete;
};

// Call body(stream) for an emulated one, and for a card of it if there is one.
template <typename Body>
void on_emulated_hopper(emulator::Order order, Body&& body) {
  if (!backend_wanted("emulator")) return;
  const EmulatedHopper emulated(order);
  body(Stream{Device::emulator});
}
template <typename Body>
void on_hopper(Body&& body) {
  if (hopper_present()) on_card(body);
}

}  // namespace doppel::testing
