// Runs one launch on the host. kernels/device/launch.h calls it.
#pragma once

#include <cstddef>
#include <type_traits>

#include "kernels/emulator/thread.h"

namespace doppel::emulator {

// A pointer among a kernel's arguments: what it points to is an input when `constant`.
struct Pointer {
  const void* address = nullptr;
  bool constant = false;
};

template <typename T>
Pointer pointer(const T& argument) {
  if constexpr (std::is_pointer_v<T>)
    return {argument, std::is_const_v<std::remove_pointer_t<T>>};
  else
    return {};
}

struct Launch {
  const char* kernel;
  int bound;      // threads of a block, __launch_bounds__
  int registers;  // of a thread, by the same
  dim3 grid, block;
  int cluster;          // blocks of a cluster, along x
  size_t shared;        // bytes of dynamic shared memory
  void (*call)(void*);  // runs the kernel as one thread, call(arguments)
  void* arguments;      // what the kernel's parameters are copied from
  size_t argument_bytes;
  const Pointer* pointers;
  size_t pointer_count;
};

// Throws KernelError (kernels/emulator/emulator.h).
void execute(const Launch& launch);

}  // namespace doppel::emulator
