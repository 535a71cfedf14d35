// Tensor cores: fragments from shared memory, and products of fragments. All 32 lanes of a warp call each together.
#pragma once

#include <bit>

#include "kernels/device/platform.h"

namespace doppel {

// ldmatrix: Count 8 x 8 matrices of 16-bit elements from shared memory. Lane 8 i + r gives the 16-byte aligned address
// of row r of matrix i (lanes from 8 Count on: not read). Lane l receives in r[i] the elements (l / 4, 2 (l % 4)) and
// (l / 4, 2 (l % 4) + 1) of matrix i, the first in the lower half; transposed: the elements with row and column
// changed. PTX ISA 9.7.14.5.15, ldmatrix.sync.aligned.m8n8.x{1,2,4}{.trans}.shared.b16 (sm_75).
#if DOPPEL_ON_CARD

template <int Count, bool Transposed = false>
__device__ __forceinline__ void ldmatrix(uint32_t (&r)[Count], const void* row) {
  static_assert(Count == 1 || Count == 2 || Count == 4, "x1, x2 or x4");
  const uint32_t address = uint32_t(__cvta_generic_to_shared(row));
  if constexpr (Count == 1) {
    if constexpr (Transposed)
      asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(address) : "memory");
    else
      asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(address) : "memory");
  } else if constexpr (Count == 2) {
    if constexpr (Transposed)
      asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                   : "=r"(r[0]), "=r"(r[1])
                   : "r"(address)
                   : "memory");
    else
      asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                   : "=r"(r[0]), "=r"(r[1])
                   : "r"(address)
                   : "memory");
  } else {
    if constexpr (Transposed)
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                   : "r"(address)
                   : "memory");
    else
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                   : "r"(address)
                   : "memory");
  }
}

#else

template <int Count, bool Transposed = false>
void ldmatrix(uint32_t (&r)[Count], const void* row, std::source_location where = std::source_location::current()) {
  static_assert(Count == 1 || Count == 2 || Count == 4, "x1, x2 or x4");
  emulator::ldmatrix(r, row, Count, Transposed, where);
}

#endif

// mma, bf16: d = a b + c; a [16,16], b [16,8], c and d [16,8] fp32; d may be c. With g = lane / 4, t = lane % 4:
//   a[0] = (g, 2t), (g, 2t+1)       a[1] = (g+8, 2t ..)   a[2] = (g, 2t+8 ..)   a[3] = (g+8, 2t+8 ..)
//   b[0] = (2t, g), (2t+1, g)       b[1] = (2t+8, g), (2t+9, g)
//   c[0], c[1] = (g, 2t), (g, 2t+1)   c[2], c[3] = (g+8, 2t), (g+8, 2t+1)
// A register's lower half holds the element named first. PTX ISA 9.7.14.5.8,
// mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 (sm_80).
//
// mma, tf32: a [16,8], b [8,8] of fp32 bits whose lower 13 are not read:
//   a[0] = (g, t)   a[1] = (g+8, t)   a[2] = (g, t+4)   a[3] = (g+8, t+4);   b[0] = (t, g)   b[1] = (t+4, g)
// PTX ISA 9.7.14.5.6, mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 (sm_80).
//
// The order in which a card adds the products is its own; the twins sum exactly (in double) and round once.
#if DOPPEL_ON_CARD

__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                                  const float (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%10, %11, %12, %13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                                 const float (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%10, %11, %12, %13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}
// Rounds to tf32 (10 bits of fraction), ties away from zero: PTX ISA 9.7.9.22, cvt.rna.tf32.f32 (sm_80).
__device__ __forceinline__ uint32_t to_tf32(float v) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
  return bits;
}

#else

inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const float (&c)[4],
                              std::source_location where = std::source_location::current()) {
  emulator::mma(emulator::WarpOp::mma_bf16, d, a, b, c, where);
}
inline void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const float (&c)[4],
                             std::source_location where = std::source_location::current()) {
  emulator::mma(emulator::WarpOp::mma_tf32, d, a, b, c, where);
}
inline uint32_t to_tf32(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  const bool finite = (bits & 0x7F800000u) != 0x7F800000u;
  return finite ? (bits + 0x1000u) & ~0x1FFFu : bits;
}

#endif

}  // namespace doppel
