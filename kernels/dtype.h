// Element types and bf16 conversion.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/both.h"

namespace doppel {

enum class DType : int { f32, bf16, u8 };

constexpr size_t size_of(DType t) {
  return t == DType::f32 ? 4 : t == DType::bf16 ? 2 : 1;
}
constexpr const char* name_of(DType t) {
  return t == DType::f32 ? "fp32" : t == DType::bf16 ? "bf16" : "u8";
}

// The upper half of a float.
struct Bf16 {
  uint16_t bits = 0;
};

DOPPEL_BOTH inline float to_float(Bf16 v) {
  return std::bit_cast<float>(uint32_t(v.bits) << 16);
}
DOPPEL_BOTH inline float to_float(float v) {
  return v;
}

// Rounds to nearest, ties to even. A NaN keeps its sign and stays a NaN: rounding up could otherwise carry it into
// infinity.
DOPPEL_BOTH inline Bf16 to_bf16(float v) {
  const uint32_t u = std::bit_cast<uint32_t>(v);
  const uint32_t rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
  const uint32_t quiet = (u >> 16) | 0x40u;
  return {uint16_t((u & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded)};
}

template <typename T>
DOPPEL_BOTH T from_float(float v);
template <>
DOPPEL_BOTH inline float from_float<float>(float v) {
  return v;
}
template <>
DOPPEL_BOTH inline Bf16 from_float<Bf16>(float v) {
  return to_bf16(v);
}

}  // namespace doppel
