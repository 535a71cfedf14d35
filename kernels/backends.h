// How one launcher has several backends. The public function, declared in kernels/<operator>.h, picks by stream.device:
//
//   doppel::on_cpu::relu        kernels/relu_cpu.cc
//   doppel::on_emulator::relu   kernels/relu.cu, compiled as C++
//   doppel::on_cuda::relu       kernels/relu.cu, compiled by nvcc
//
// kernels/relu.cc says, for each launcher:
//
//   DOPPEL_BACKENDS(relu)
//   void relu(float* y, const float* x, Stream stream) { DOPPEL_PICK(relu, stream)(y, x, stream); }
//
// Where a library has the operator too (kernels/vendor.h), DOPPEL_PICK_LIBRARY(relu, stream) also looks at
// stream.library and may pick doppel::on_vendor::relu; by_choice() lets one call have a library of its own.
//
// The twins have the type of the public function, so that one that differs does not link.
#pragma once

#include <stdexcept>

#include "kernels/kernel_choice.h"
#include "kernels/stream.h"

#if defined(DOPPEL_CUDA)
#define DOPPEL_CUDA_TWIN(function)       \
  namespace on_cuda {                    \
  decltype(::doppel::function) function; \
  }
#define DOPPEL_CUDA_POINTER(function) &on_cuda::function
#else
#define DOPPEL_CUDA_TWIN(function)
#define DOPPEL_CUDA_POINTER(function) nullptr
#endif

#if defined(DOPPEL_CUDNN)
#define DOPPEL_VENDOR_POINTER(function) &on_vendor::function
#else
#define DOPPEL_VENDOR_POINTER(function) nullptr
#endif

// In namespace doppel.
#define DOPPEL_BACKENDS(function)        \
  namespace on_cpu {                     \
  decltype(::doppel::function) function; \
  }                                      \
  namespace on_emulator {                \
  decltype(::doppel::function) function; \
  }                                      \
  DOPPEL_CUDA_TWIN(function)

#define DOPPEL_PICK(function, stream)                                                             \
  ::doppel::pick<decltype(::doppel::function)>(stream, &on_cpu::function, &on_emulator::function, \
                                               DOPPEL_CUDA_POINTER(function))

// For functions that kernels/vendor.h declares as well.
#define DOPPEL_PICK_LIBRARY(function, stream)                                                     \
  ::doppel::pick<decltype(::doppel::function)>(stream, &on_cpu::function, &on_emulator::function, \
                                               DOPPEL_CUDA_POINTER(function), DOPPEL_VENDOR_POINTER(function))

namespace doppel {

// Throws std::runtime_error for a device that this build does not have.
template <typename F>
F* pick(Stream stream, F* cpu, F* emulator, F* cuda) {
  F* const found = stream.device == Device::cpu ? cpu : stream.device == Device::emulator ? emulator : cuda;
  if (!found) throw std::runtime_error("this build of doppel has no CUDA backend");
  return found;
}

template <typename F>
F* pick(Stream stream, F* cpu, F* emulator, F* cuda, F* vendor) {
  if (stream.device != Device::cuda || stream.library != Library::vendor) return pick(stream, cpu, emulator, cuda);
  if (!vendor) throw std::runtime_error("this build of doppel has no cuDNN and cuBLASLt");
  return vendor;
}

// The stream as a pass with that choice sees it.
inline Stream by_choice(Stream stream, const KernelChoice& choice) {
  if (choice.kernel == KernelKind::vendor) stream.library = Library::vendor;
  return stream;
}

// Workspace sizes of own kernels, and the vendor's where `kernels` says so. `bytes_on(stream, kernels)` asks a backend;
// the own ones are never asked about the vendor's kernels.
template <typename BytesOn>
auto workspace_by_choice(const KernelChoices& kernels, Stream stream, BytesOn&& bytes_on) {
  KernelChoices own = kernels;
  for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad})
    if (stream.device == Device::cuda && kernels[pass].kernel == KernelKind::vendor) own[pass] = {};
  if (stream.library == Library::vendor || own == kernels) return bytes_on(stream, kernels);
  auto bytes = bytes_on(stream, own);
  const auto vendors = bytes_on(by_choice(stream, {KernelKind::vendor}), kernels);
  if (own.fprop != kernels.fprop) bytes.fprop = vendors.fprop;
  if (own.dgrad != kernels.dgrad) bytes.dgrad = vendors.dgrad;
  if (own.wgrad != kernels.wgrad) bytes.wgrad = vendors.wgrad;
  return bytes;
}

}  // namespace doppel
