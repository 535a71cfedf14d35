// Where a launcher runs. Every launcher takes a Stream last; the backends stand beside each other behind it.
#pragma once

namespace doppel {

// emulator: the CUDA kernels, compiled as plain C++, on the host (kernels/emulator/emulator.h); its memory is the
// host's.
enum class Device { cpu, emulator, cuda };

struct Stream {
  Device device = Device::cpu;
  void* handle = nullptr;  // Device::cuda: the cudaStream_t; null is the default stream
};

}  // namespace doppel
