// One block's product of two matrices on tensor cores: acc[m, n] = sum over k of A[m, k] B[k, n], bf16 operands, fp32
// sums. Operands stream through shared memory in steps of 32 along k; who fills it is the caller's (conv2d_mma_load.h).
//
// An operand's tile in shared memory is made of 16-byte units, 8 elements each, in one of two orders:
//
//   along k   rows are m (or n), 32 elements of k each: 4 units     ldmatrix gives fragments as they are
//   across k  rows are k, M (or N) elements each: M / 8 units       ldmatrix transposes on the way
//
// Swizzle. ldmatrix reads the units of 8 consecutive rows at one unit column; 8 units are all 32 banks. Rows of 64
// bytes lie two to a line of banks, and rows of 128 or 256 bytes begin at the same bank, so that plain rows would
// collide 4 or 8 ways. Unit u of row r is therefore kept in column u ^ (r / 2 % 4), or u ^ (r % 8): any 8 rows then
// touch 8 different groups of banks, and a row's units stay within the row, so that copies to it collide no more than
// before.
#pragma once

#include "kernels/conv2d_mma_plan.h"
#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {

// Warps lie in a grid of M / WarpM x N / WarpN. Registers are kept few enough for `Blocks` blocks on a multiprocessor.
// The shared memory of two large blocks fits in 100 KB.
template <int M, int N, int WarpM, int WarpN, int Stages, int Blocks>
struct Tile {
  static constexpr int kM = M, kN = N, kK = kMmaStep, kWarpM = WarpM, kWarpN = WarpN, kStages = Stages;
  static constexpr int kThreads = M / WarpM * (N / WarpN) * kWarpSize, kBlocks = Blocks;
  static constexpr int kBytesA = M * kK * 2, kBytes = kBytesA + N * kK * 2;  // of a stage
  static constexpr int kShared = Stages * kBytes;
  static_assert(WarpM % 16 == 0 && WarpN % 16 == 0);
  static_assert(kShared >= M * N * 2, "the result passes through shared memory as bf16");
};
using LargeTile = Tile<128, 128, 64, 32, 3, 2>;
using TallTile = Tile<128, 64, 64, 32, 3, 3>;
using SmallTile = Tile<64, 64, 32, 32, 4, 4>;

// Calls body(Tile) for the tile that was planned.
template <typename Body>
void with_tile(MmaTile tile, Body&& body) {
  if (tile == MmaTile::large)
    body(LargeTile{});
  else if (tile == MmaTile::tall)
    body(TallTile{});
  else
    body(SmallTile{});
}

constexpr int kUnit = 8;  // elements of 16 bytes

// Where unit `unit` of row `row` lies, in bytes; Units to a row.
template <int Units>
__device__ __forceinline__ int unit_offset(int row, int unit) {
  static_assert(Units == 4 || Units % 8 == 0);
  const int turn = Units == 4 ? row / 2 % 4 : row % 8;
  return (row * Units + (unit ^ turn)) * 16;
}

// Units in a row of an operand's tile of `Extent` rows or columns.
template <bool AlongK, int Extent>
constexpr int kUnits = AlongK ? kMmaStep / kUnit : Extent / kUnit;

// The accumulators of one thread: 16 x 8 results of its warp each, laid out as mma's c (kernels/device/mma.h).
template <typename T>
struct Accumulators {
  static constexpr int kRows = T::kWarpM / 16, kColumns = T::kWarpN / 8;
  float v[kRows][kColumns][4];
};

// A warp's fragments of half a step, 16 of its 32 columns of k, and B's of the half after it.
template <typename T>
struct Fragments {
  static constexpr int kRows = T::kWarpM / 16, kPairs = T::kWarpN / 16;
  uint32_t a[kRows][4];
  uint32_t b[2][kPairs][4];  // [half], two neighbours of 8 columns
};

// Where this lane's row for ldmatrix lies in the first fragment of its warp's part of a tile. The fragment that is `i`
// times 16 further along m (or n), and `half` times 16 further along k, is at moved(): rows move by 16, which the
// swizzle does not see, and units by 2, a bit that is 0 in the first fragment and so may be flipped after the swizzle.
template <bool AlongK, int Extent>
struct FragmentRow {
  int at;
  __device__ __forceinline__ int moved(int i, int half) const {
    constexpr int kRow = kUnits<AlongK, Extent> * 16;
    return AlongK ? (at ^ (half * 32)) + i * 16 * kRow : (at ^ (i * 32)) + half * 16 * kRow;
  }
};

// ldmatrix's four matrices in the order of the registers of a: (m, k) = (0, 0), (8, 0), (0, 8), (8, 8).
template <bool AlongK, int Extent>
__device__ __forceinline__ FragmentRow<AlongK, Extent> fragment_row_a(int first) {
  constexpr int kRow = kUnits<AlongK, Extent>;
  const int l = lane(), m8 = l / 8 % 2, k8 = l / 16;
  if constexpr (AlongK) return {unit_offset<kRow>(first + m8 * 8 + l % 8, k8)};
  return {unit_offset<kRow>(k8 * 8 + l % 8, first / kUnit + m8)};
}
// Two b's: (k, n) = (0, 0), (8, 0), (0, 8), (8, 8).
template <bool AlongK, int Extent>
__device__ __forceinline__ FragmentRow<AlongK, Extent> fragment_row_b(int first) {
  constexpr int kRow = kUnits<AlongK, Extent>;
  const int l = lane(), k8 = l / 8 % 2, n8 = l / 16;
  if constexpr (AlongK) return {unit_offset<kRow>(first + n8 * 8 + l % 8, k8)};
  return {unit_offset<kRow>(k8 * 8 + l % 8, first / kUnit + n8)};
}

// The place of a warp's part in its block's tile.
template <typename T>
__device__ __forceinline__ int warp_row() {
  return warp() / (T::kN / T::kWarpN) * T::kWarpM;
}
template <typename T>
__device__ __forceinline__ int warp_column() {
  return warp() % (T::kN / T::kWarpN) * T::kWarpN;
}

template <typename T, bool AAlongK, bool BAlongK>
struct FragmentLoader {
  FragmentRow<AAlongK, T::kM> a = fragment_row_a<AAlongK, T::kM>(warp_row<T>());
  FragmentRow<BAlongK, T::kN> b = fragment_row_b<BAlongK, T::kN>(warp_column<T>());

  __device__ __forceinline__ void load_a(Fragments<T>& f, int i, const unsigned char* stage, int half) const {
    ldmatrix<4, !AAlongK>(f.a[i], stage + a.moved(i, half));
  }
  __device__ __forceinline__ void load_b(Fragments<T>& f, int j, const unsigned char* stage, int half) const {
    ldmatrix<4, !BAlongK>(f.b[half][j], stage + T::kBytesA + b.moved(j, half));
  }
};

// Multiplies half `1 - half` of a step. The fragments of half `half` of `next` are loaded meanwhile: B's beside the
// present ones, A's into each register as its last product has been issued. So ldmatrix runs in the shadow of mma, and
// 64 x 32 results with all else fit the 128 registers of two blocks on a multiprocessor.
template <typename T, typename Loader>
__device__ __forceinline__ void multiply_half(Accumulators<T>& acc, Fragments<T>& f, const Loader& loader,
                                              const unsigned char* next, int half) {
  constexpr int kRows = Accumulators<T>::kRows;
#pragma unroll
  for (int j = 0; j < Fragments<T>::kPairs; ++j) loader.load_b(f, j, next, half);
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
#pragma unroll
    for (int j = 0; j < Accumulators<T>::kColumns; ++j) {
      const uint32_t b[2] = {f.b[1 - half][j / 2][j % 2 * 2], f.b[1 - half][j / 2][j % 2 * 2 + 1]};
      mma_m16n8k16_bf16(acc.v[i][j], f.a[i], b, acc.v[i][j]);
    }
    loader.load_a(f, i, next, half);
  }
}

// The product. `load(stage)` starts the copies of the next step's operands into a stage, A's tile first; it is called
// `steps` times, in the order of the steps. On return nobody reads shared memory any more.
//
// kStages - 1 steps are on their way while one is used, and a barrier a step is enough: when all have passed it, the
// step that was waited for is there for everybody, and everybody has read what the next copies overwrite.
template <typename T, bool AAlongK, bool BAlongK, typename Load>
__device__ __forceinline__ void multiply(Accumulators<T>& acc, unsigned char* shared, int steps, Load&& load) {
#pragma unroll
  for (int i = 0; i < Accumulators<T>::kRows; ++i)
#pragma unroll
    for (int j = 0; j < Accumulators<T>::kColumns; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) acc.v[i][j][e] = 0;

#pragma unroll 1
  for (int s = 0; s < T::kStages - 1; ++s) {
    if (s < steps) load(shared + s * T::kBytes);
    copy_async_commit();
  }
  copy_async_wait<T::kStages - 2>();
  __syncthreads();
  if (steps <= 0) return;

  const FragmentLoader<T, AAlongK, BAlongK> loader;
  Fragments<T> f;
#pragma unroll
  for (int j = 0; j < Fragments<T>::kPairs; ++j) loader.load_b(f, j, shared, 0);
#pragma unroll
  for (int i = 0; i < Fragments<T>::kRows; ++i) loader.load_a(f, i, shared, 0);
  int reading = 0, writing = (T::kStages - 1) * T::kBytes;
  for (int left = steps; left > 0; --left) {
    if (left >= T::kStages) load(shared + writing);
    copy_async_commit();  // of nothing at the end: the count of groups stays the count of steps
    multiply_half(acc, f, loader, shared + reading, 1);

    copy_async_wait<T::kStages - 2>();
    __syncthreads();
    writing = reading;
    // The last step has no next one: it reads its own fragments again, for nothing, which is cheaper than a branch.
    if (left > 1) reading = reading + T::kBytes == T::kShared ? 0 : reading + T::kBytes;
    multiply_half(acc, f, loader, shared + reading, 0);
  }
  __syncthreads();
}

}  // namespace doppel::DOPPEL_BACKEND
