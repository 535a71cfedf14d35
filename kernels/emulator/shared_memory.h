// Shared memory as the macros of kernels/device/shared.h declare it.
#pragma once

#include <cstddef>

namespace doppel::emulator {

template <typename T>
using ArrayOf = T;

// One declaration.
struct SharedArray {
  size_t bytes, alignment;
  const char* name;
};

// The array's memory in the running block; the first thread to come makes it. The same for every call with `array`.
void* shared_array(const SharedArray& array);
// The dynamic shared memory of the running block.
unsigned char* shared_dynamic();

}  // namespace doppel::emulator
