// Shared memory, declared through these two macros alone.
//
//   DOPPEL_SHARED(float, tile, [32][33]);   // static: float tile[32][33], one for each block; aligned as its type is
//   DOPPEL_SHARED_DYNAMIC(bytes);           // unsigned char* bytes, 128-byte aligned: the size that the launch gave
//
// On the emulator an array begins as NaN in every block and has a gap behind it that nothing may touch.
#pragma once

#include "kernels/device/platform.h"

#if DOPPEL_ON_CARD

#define DOPPEL_SHARED(type, name, extents) __shared__ type name extents
#define DOPPEL_SHARED_DYNAMIC(name) extern __shared__ __align__(128) unsigned char name[]

#else

#include "kernels/emulator/shared_memory.h"

#define DOPPEL_SHARED(type, name, extents)                                                      \
  auto& name = *static_cast<::doppel::emulator::ArrayOf<type extents>*>([]() -> void* {         \
    static constexpr ::doppel::emulator::SharedArray array{sizeof(type extents), alignof(type), \
                                                           #type " " #name #extents};           \
    return ::doppel::emulator::shared_array(array);                                             \
  }())
#define DOPPEL_SHARED_DYNAMIC(name) unsigned char* const name = ::doppel::emulator::shared_dynamic()

#endif
