// The product that the fp32 kernels are made of: a block multiplies [64, depth] by [depth, 64], 16 of the depth at a
// time, and each of its 64 threads keeps 8 x 8 of the sums in registers (docs/kernels/conv2d_simt.md).
#pragma once

#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {

constexpr int kTile = 64;         // rows, and columns, of a block
constexpr int kDepth = 16;        // products of each sum per step
constexpr int kTileThreads = 64;  // 8 x 8
constexpr int kQuads = kDepth / 4, kTileQuads = kTile / 4;
constexpr int kPasses = kTile * kQuads / kTileThreads;  // quads that a thread loads, per operand and step

using Quad = Vector<float, 4>;
// [d][i / 4].v[i % 4]: row (or column) i at depth d. The padding spreads what is stored transposed over the banks.
using TileRow = Quad[kTileQuads + 1];

// The four elements at base + offset, 0 in place of those before `from` and from `to` on, which are not read.
// `vectors`: all four or none are wanted, and the address fits a vector.
template <typename T>
__device__ __forceinline__ Quad load_quad(const T* base, int64_t offset, int from, int to, bool vectors) {
  Quad quad{};
  if (vectors) {
    if (from <= 0 && to > 0) {
      const Vector<T, 4> v = load_vector<Vector<T, 4>>(base + offset);
#pragma unroll
      for (int i = 0; i < 4; ++i) quad.v[i] = to_float(v.v[i]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (i >= from && i < to) quad.v[i] = to_float(base[offset + i]);
  }
  return quad;
}

// How a thread's quads lie in an operand's tile. Along the depth: its quad is 4 of the depth of one row, rows 16 apart
// in the passes; along the tile: its quad is 4 rows at one depth, depths 4 apart.
struct AlongDepth {
  static __device__ __forceinline__ int row(int thread, int pass) {
    return thread / kQuads + pass * kTileThreads / kQuads;
  }
  static __device__ __forceinline__ int depth(int thread) { return 4 * (thread % kQuads); }

  static __device__ __forceinline__ void store(TileRow* tile, int thread, const Quad (&quads)[kPasses]) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int i = row(thread, pass);
#pragma unroll
      for (int j = 0; j < 4; ++j) tile[depth(thread) + j][i / 4].v[i % 4] = quads[pass].v[j];
    }
  }
};

struct AlongTile {
  static __device__ __forceinline__ int row(int thread) { return 4 * (thread % kTileQuads); }
  static __device__ __forceinline__ int depth(int thread, int pass) {
    return thread / kTileQuads + pass * kTileThreads / kTileQuads;
  }

  static __device__ __forceinline__ void store(TileRow* tile, int thread, const Quad (&quads)[kPasses]) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass)
      store_vector(&tile[depth(thread, pass)][thread % kTileQuads], quads[pass]);
  }
};

// This thread's sums: two groups of 4 rows, 32 apart, by two groups of 4 columns, so that the lanes of a warp read
// neighbouring quads of the columns and the same quads of the rows.
struct TileSums {
  float v[8][8] = {};

  static __device__ __forceinline__ int row(int i) { return int(threadIdx.x) / 8 * 4 + i / 4 * (kTile / 2) + i % 4; }
  static __device__ __forceinline__ int column(int group) { return int(threadIdx.x) % 8 * 4 + group * (kTile / 2); }
  __device__ __forceinline__ Quad quad(int i, int group) const {
    return {{v[i][4 * group], v[i][4 * group + 1], v[i][4 * group + 2], v[i][4 * group + 3]}};
  }

  // += a b
  __device__ __forceinline__ void multiply(const TileRow* a, const TileRow* b) {
    const int y = int(threadIdx.x) / 8, x = int(threadIdx.x) % 8;
#pragma unroll 2  // more at once would take more than the 168 registers with which six blocks share a multiprocessor
    for (int d = 0; d < kDepth; ++d) {
      const Quad rows[2] = {load_vector<Quad>(&a[d][y]), load_vector<Quad>(&a[d][y + kTileQuads / 2])};
      const Quad columns[2] = {load_vector<Quad>(&b[d][x]), load_vector<Quad>(&b[d][x + kTileQuads / 2])};
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) v[i][j] += rows[i / 4].v[i % 4] * columns[j / 4].v[j % 4];
    }
  }
};

// Runs steps begin .. end - 1 of a product: loader.load(step) fetches this thread's quads of both operands into
// registers, loader.store(a, b) puts them into shared memory. While one step is multiplied, the next is on its way,
// into the other half of the buffers: so one barrier a step is enough.
template <typename Loader>
__device__ __forceinline__ void multiply_steps(TileSums& sums, Loader& loader, int begin, int end) {
  DOPPEL_SHARED(TileRow, a, [2][kDepth]);
  DOPPEL_SHARED(TileRow, b, [2][kDepth]);
  if (begin >= end) return;
  loader.load(begin);
  loader.store(a[0], b[0]);
  __syncthreads();
  for (int step = begin; step < end; ++step) {
    const int here = (step - begin) % 2;
    if (step + 1 < end) loader.load(step + 1);
    sums.multiply(a[here], b[here]);
    if (step + 1 < end) loader.store(a[1 - here], b[1 - here]);
    __syncthreads();
  }
}

}  // namespace doppel::DOPPEL_BACKEND
