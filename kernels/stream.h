// Where a launcher runs. Every launcher takes a Stream last; the backends stand beside each other behind it.
#pragma once

namespace doppel {

// emulator: the CUDA kernels, compiled as plain C++, on the host (kernels/emulator/emulator.h); its memory is the
// host's.
enum class Device { cpu, emulator, cuda };

// Whose convolutions and dense layers run on Device::cuda: our own, or cuDNN's and cuBLASLt's (kernels/vendor.h), also
// where a layer chose otherwise (kernels/kernel_choice.h).
enum class Library { doppel, vendor };

struct Stream {
  Device device = Device::cpu;
  void* handle = nullptr;  // Device::cuda: the cudaStream_t; null is the default stream
  Library library = Library::doppel;
};

}  // namespace doppel
