// Exchange between the lanes of a warp: CUDA's shuffles, votes and reductions by their own names, and sums and maxima
// built on them. All lanes of `mask` must call the same function; none of these orders memory accesses (CUDA C++
// Programming Guide, "Warp Shuffle Functions"): for that there is __syncwarp.
#pragma once

#include "kernels/device/platform.h"

#if !DOPPEL_ON_CARD

#include <cstring>
#include <type_traits>

namespace doppel::emulator {

// The value that lane `source` of this lane's segment gave; its own value where `source` is out of range.
template <typename T>
T shuffle(unsigned mask, const T& value, int source, std::source_location where) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>, "shuffles move 4 or 8 bytes");
  ShuffleInput in{0, source};
  std::memcpy(&in.bits, &value, sizeof(T));
  uint64_t out;
  warp_collective(WarpOp::shuffle, mask, &in, sizeof(in), &out, sizeof(out), where);
  T result;
  std::memcpy(&result, &out, sizeof(T));
  return result;
}
// The first lane of this lane's segment; reports a width that is no power of two up to 32. kernels/emulator/warps.cc
int segment(int width, std::source_location where);
inline uint32_t vote(WarpOp op, unsigned mask, uint32_t value, std::source_location where) {
  uint32_t out;
  warp_collective(op, mask, &value, sizeof(value), &out, sizeof(out), where);
  return out;
}

}  // namespace doppel::emulator

#define DOPPEL_WHERE std::source_location where = std::source_location::current()

// `width` is a power of two up to 32.
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, DOPPEL_WHERE) {
  return doppel::emulator::shuffle(mask, value, doppel::emulator::segment(width, where) + (source & (width - 1)),
                                   where);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, DOPPEL_WHERE) {
  const int lane = doppel::emulator::lane_number(), source = lane - int(delta);
  return doppel::emulator::shuffle(mask, value, source < doppel::emulator::segment(width, where) ? lane : source,
                                   where);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, DOPPEL_WHERE) {
  const int lane = doppel::emulator::lane_number(), source = lane + int(delta);
  return doppel::emulator::shuffle(mask, value,
                                   source >= doppel::emulator::segment(width, where) + width ? lane : source, where);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, DOPPEL_WHERE) {
  const int lane = doppel::emulator::lane_number(), source = lane ^ lane_mask;
  return doppel::emulator::shuffle(mask, value,
                                   source >= doppel::emulator::segment(width, where) + width ? lane : source, where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, DOPPEL_WHERE) {
  return doppel::emulator::vote(doppel::emulator::WarpOp::ballot, mask, predicate != 0, where);
}
inline int __any_sync(unsigned mask, int predicate, DOPPEL_WHERE) {
  return doppel::emulator::vote(doppel::emulator::WarpOp::ballot, mask, predicate != 0, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, DOPPEL_WHERE) {
  return doppel::emulator::vote(doppel::emulator::WarpOp::ballot, mask, predicate == 0, where) == 0;
}
inline unsigned __match_any_sync(unsigned mask, unsigned value, DOPPEL_WHERE) {
  return doppel::emulator::vote(doppel::emulator::WarpOp::match_any, mask, value, where);
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value, DOPPEL_WHERE) {
  return doppel::emulator::vote(doppel::emulator::WarpOp::reduce_add, mask, value, where);
}
inline int __reduce_add_sync(unsigned mask, int value, DOPPEL_WHERE) {
  return int(doppel::emulator::vote(doppel::emulator::WarpOp::reduce_add, mask, unsigned(value), where));
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value, DOPPEL_WHERE) {
  return doppel::emulator::vote(doppel::emulator::WarpOp::reduce_max, mask, value, where);
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value, DOPPEL_WHERE) {
  return doppel::emulator::vote(doppel::emulator::WarpOp::reduce_min, mask, value, where);
}
// With the sign bit turned round, unsigned numbers are ordered as signed ones are.
inline int __reduce_max_sync(unsigned mask, int value, DOPPEL_WHERE) {
  constexpr unsigned kSign = 0x80000000u;
  return int(doppel::emulator::vote(doppel::emulator::WarpOp::reduce_max, mask, unsigned(value) ^ kSign, where) ^
             kSign);
}
inline int __reduce_min_sync(unsigned mask, int value, DOPPEL_WHERE) {
  constexpr unsigned kSign = 0x80000000u;
  return int(doppel::emulator::vote(doppel::emulator::WarpOp::reduce_min, mask, unsigned(value) ^ kSign, where) ^
             kSign);
}

#undef DOPPEL_WHERE

#endif

namespace doppel {

constexpr unsigned kAllLanes = 0xFFFFFFFFu;

// The sum over all 32 lanes, the same bits in every lane: the butterfly adds the same pairs everywhere.
template <typename T>
__device__ __forceinline__ T warp_sum(T v) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) v += __shfl_xor_sync(kAllLanes, v, step);
  return v;
}
// The largest of all 32 lanes; a NaN wins over no number (it is lost), as in fmax.
template <typename T>
__device__ __forceinline__ T warp_max(T v) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(kAllLanes, v, step);
    v = other > v ? other : v;
  }
  return v;
}
template <typename T>
__device__ __forceinline__ T warp_min(T v) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(kAllLanes, v, step);
    v = other < v ? other : v;
  }
  return v;
}

}  // namespace doppel
