// Vectors that move in one instruction, and loads and stores that say so: the address must be a multiple of the
// vector's size (on a card a misaligned one is an error; the checked emulator reports it).
#pragma once

#include <bit>

#include "kernels/device/platform.h"
#include "kernels/dtype.h"

#if !DOPPEL_ON_CARD

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
inline float2 make_float2(float x, float y) {
  return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w) {
  return {x, y, z, w};
}
inline uint2 make_uint2(unsigned x, unsigned y) {
  return {x, y};
}
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
  return {x, y, z, w};
}

#endif

namespace doppel {

struct alignas(4) Bf16x2 {
  Bf16 x, y;
};
static_assert(sizeof(Bf16x2) == 4);

// N elements that move together, in one instruction.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vector {
  static_assert(sizeof(T) * N <= 16 && std::has_single_bit(sizeof(T) * N));
  T v[N];
};

__device__ __forceinline__ float2 to_float2(Bf16x2 v) {
  return make_float2(to_float(v.x), to_float(v.y));
}

// Rounds both to nearest, ties to even. PTX ISA 9.7.9.22, cvt.rn.bf16x2.f32 (sm_80), which makes every NaN 0x7FFF.
__device__ __forceinline__ Bf16x2 to_bf16x2(float x, float y) {
#if DOPPEL_ON_CARD
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(y), "f"(x));
  return std::bit_cast<Bf16x2>(bits);
#else
  return {to_bf16(x), to_bf16(y)};
#endif
}

// Whether vectors of type V may lie at `address`; for launchers.
template <typename V>
bool is_aligned(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % sizeof(V) == 0;
}

#if DOPPEL_ON_CARD

template <typename V>
__device__ __forceinline__ V load_vector(const void* address) {
  return *static_cast<const V*>(address);
}
template <typename V>
__device__ __forceinline__ void store_vector(void* address, const V& value) {
  *static_cast<V*>(address) = value;
}

#else

template <typename V>
__forceinline__ V load_vector(const void* address, std::source_location where = std::source_location::current()) {
  emulator::check_aligned(address, sizeof(V), where);
  return *static_cast<const V*>(address);
}
template <typename V>
__forceinline__ void store_vector(void* address, const V& value,
                                  std::source_location where = std::source_location::current()) {
  emulator::check_aligned(address, sizeof(V), where);
  *static_cast<V*>(address) = value;
}

#endif

}  // namespace doppel
