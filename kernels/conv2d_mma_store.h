// From the accumulators of kernels/conv2d_mma_tile.h to memory, and what the launchers of the three passes share.
#pragma once

#include <stdexcept>

#include "kernels/conv2d_mma.h"
#include "kernels/conv2d_mma_load.h"
#include "kernels/conv2d_splits.h"

namespace doppel::DOPPEL_BACKEND {

inline ConvShape shape_of(const Conv2d& v) {
  return {v.n,
          v.h,
          v.w,
          v.c,
          v.k,
          v.r,
          v.s,
          v.stride,
          v.pad_top,
          v.pad_left,
          v.out_h(),
          v.out_w(),
          v.r * v.s * v.c,
          v.weight_stride,
          v.bias_stride};
}

// For 16-byte copies.
inline void require_units(const void* a, const void* b, const void* c, const Conv2d& v) {
  if (!is_aligned<uint4>(a) || !is_aligned<uint4>(b) || !is_aligned<uint4>(c) || v.weight_stride % kUnit != 0)
    throw std::invalid_argument("conv2d: the bf16 kernels need tensors at multiples of 16 bytes");
}

// This block's place in the result, from blockIdx.x: tiles of one row of tiles follow each other, so that blocks that
// run at the same time share pixels, of which there are many, and sweep over all filters, of which there are few.
template <typename T>
struct BlockPlace {
  int m, n;
  __device__ __forceinline__ explicit BlockPlace(int columns) {
    const int across = ceil_div(columns, T::kN);
    m = int(blockIdx.x) / across * T::kM;
    n = int(blockIdx.x) % across * T::kN;
  }
};

template <typename T>
unsigned blocks_of(int64_t m, int64_t n) {
  return unsigned((m + T::kM - 1) / T::kM * ((n + T::kN - 1) / T::kN));
}

// The index in y of z[m, k]. With the shuffle a pixel's first k / 2 channels go to the upper of its two rows, the
// others to the lower (kernels/pixel_shuffle.h), each as one run.
struct OutputPlace {
  bool shuffle;
  int q, k;
  __device__ __forceinline__ int64_t operator()(int m, int channel) const {
    if (!shuffle) return int64_t(m) * k + channel;
    const int line = m / q, run = k / 2, lower = channel >= run;
    return (int64_t(2 * line + lower) * q + m % q) * run + channel - lower * run;
  }
  // y of z[m, channel .. channel + 7]. With the shuffle and an odd number of units, the middle one falls into two runs.
  __device__ __forceinline__ void store(Bf16* y, int m, int channel, const uint4& unit) const {
    if (!shuffle || k % (2 * kUnit) == 0) return store_vector(y + (*this)(m, channel), unit);
    store_vector(y + (*this)(m, channel), make_uint2(unit.x, unit.y));
    store_vector(y + (*this)(m, channel + 4), make_uint2(unit.z, unit.w));
  }
};

// The group of convolutions that this block works for. All that it numbers, from pixels to bytes, is the group's own.
__device__ __forceinline__ int group() {
  return int(blockIdx.y);
}

// The steps of part `part` of `parts`.
struct Steps {
  int begin, end;
  __device__ __forceinline__ Steps(int steps, int part, int parts)
      : begin(int(int64_t(steps) * part / parts)), end(int(int64_t(steps) * (part + 1) / parts)) {}
};

// pair(row, column, v0, v1) for all of this thread's results: row and column in the block's tile, column even, v1 that
// of column + 1. Four lanes hold 8 neighbours: float2 stores of them fill sectors of 32 bytes. One row after the other,
// so that no two rows' addresses take registers at a time.
template <typename T, typename Pair>
__device__ __forceinline__ void for_pairs(const Accumulators<T>& acc, Pair&& pair) {
  const int row = warp_row<T>() + lane() / 4, column = warp_column<T>() + lane() % 4 * 2;
#pragma unroll
  for (int i = 0; i < Accumulators<T>::kRows; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int j = 0; j < Accumulators<T>::kColumns; ++j)
        pair(row + i * 16 + half * 8, column + j * 8, acc.v[i][j][half * 2], acc.v[i][j][half * 2 + 1]);
}

// unit(row, column, values) for all of the block's results, rounded: 8 columns a unit, neighbouring units in
// neighbouring threads. They pass through shared memory (swizzled like an operand's tile: 8 rows of a warp's pairs, and
// 8 units of a row, are all banks), because a row of accumulators is spread over the warp in pieces of 4 bytes.
template <typename T, typename Unit>
__device__ __forceinline__ void for_units(const Accumulators<T>& acc, unsigned char* shared, Unit&& unit) {
  constexpr int kUnitsOfRow = T::kN / kUnit, kStride = T::kThreads / kUnitsOfRow;
  for_pairs(acc, [&](int row, int column, float v0, float v1) {
    store_vector(shared + unit_offset<kUnitsOfRow>(row, column / kUnit) + column % kUnit * 2, to_bf16x2(v0, v1));
  });
  __syncthreads();
  const int column = int(threadIdx.x) % kUnitsOfRow;
  for (int row = int(threadIdx.x) / kUnitsOfRow; row < T::kM; row += kStride)
    unit(row, column * kUnit, load_vector<uint4>(shared + unit_offset<kUnitsOfRow>(row, column)));
}

// fp32 results [rows, columns] from row m, column n on; columns is even.
template <typename T>
__device__ __forceinline__ void store_f32(float* out, const Accumulators<T>& acc, int m, int n, int rows, int columns) {
  for_pairs(acc, [&](int row, int column, float v0, float v1) {
    if (m + row < rows && n + column < columns)
      store_vector(out + int64_t(m + row) * columns + n + column, make_float2(v0, v1));
  });
}

}  // namespace doppel::DOPPEL_BACKEND
