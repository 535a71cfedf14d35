// Where a launcher runs. Every launcher takes a Stream last; the backends stand beside each other behind it.
#pragma once

namespace doppel {

enum class Device { cpu };

struct Stream {
  Device device = Device::cpu;
};

}  // namespace doppel
