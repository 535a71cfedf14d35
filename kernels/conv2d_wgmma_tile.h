// Blocks that multiply one tile of M x N results after the other: acc[m, n] = sum over k of A[m, k] B[k, n], bf16
// operands, fp32 sums, by wgmma on stages of shared memory that the copy engine fills in steps of 64 along k.
//
// A block has three warpgroups, each with one job for as long as the block lives:
//
//   producer    one thread of it asks for the copies of the next step, as soon as a stage is empty
//   consumers   two, each of half of the tile's rows: multiply what is full, store what is done
//   watch       a thread of the producer's, waits for the consumers to be done, but not for ever (mbarrier_wait)
//
// Stage s goes round between two mbarriers: the bytes of both operands end a phase of full[s], the arrivals of the
// eight consuming warps one of empty[s]. The producer does not stop at the end of a tile: while the consumers store
// one, the first steps of the next are on their way.
//
// Two blocks may be a pair (kernels/device/cluster.h), with neighbouring tiles along m of the same columns: each brings
// its own A and half of B, which the copy engine writes to both. A stage is empty when the consumers of both are done
// with it, and the bytes of both producers end a phase of full[s] in each. Both go through the same steps, whether or
// not there are rows so far down for the second.
#pragma once

#include <algorithm>
#include <stdexcept>

#include "kernels/conv2d.h"
#include "kernels/device/cluster.h"
#include "kernels/device/device.h"
#include "kernels/device/tma.h"
#include "kernels/device/wgmma.h"

namespace doppel::DOPPEL_BACKEND {

// An operand's stage is made of blocks of 64 x 64 elements or of 64 elements along k in a row: 128 bytes either way.
constexpr int kWgmmaRow = 128, kWgmmaBlock = 64 * kWgmmaRow;

// The shared memory of a block: the stages, then 16 rows of 128 bytes for each consuming warp, to store through.
template <int M, int N, int Stages, int Blocks = 1>
struct WgmmaTile {
  static constexpr int kBlocks = Blocks, kRows = M * Blocks;  // of a cluster
  static constexpr unsigned kAllBlocks = (1u << Blocks) - 1;
  static_assert(Blocks == 1 || Blocks == 2);
  static constexpr int kM = M, kN = N, kK = 64, kStages = Stages;
  static constexpr int kConsumers = 2, kThreads = (1 + kConsumers) * 128, kWarps = kConsumers * 4;
  static constexpr int kHeights = M / (64 * kConsumers);                            // products of 64 rows of a consumer
  static constexpr int kBytesA = kM * kWgmmaRow, kBytes = kBytesA + N * kWgmmaRow;  // of a stage
  static constexpr int kStore = 16 * kWgmmaRow;                                     // of a warp
  static constexpr int kShared = Stages * kBytes + kWarps * kStore + 1024;          // the last to align the first
  static_assert(kShared + (2 * Stages + 1) * 8 <= 227 << 10);
  // Of each thread. Together no more than what the block begins with by its kernels' bounds, (kThreads, 1), or the last
  // consumer waits for ever. cmake/ptxas_report.sh looks whether ptxas gave them so many.
  static constexpr int kProducerRegisters = 56, kConsumerRegisters = 224;
  static_assert(kProducerRegisters + kConsumers * kConsumerRegisters <=
                (1 + kConsumers) * registers_per_thread(kThreads, 1));
};
using WideWgmmaTile = WgmmaTile<128, 256, 4>;
using TallWgmmaTile = WgmmaTile<256, 128, 4>;
using SquareWgmmaTile = WgmmaTile<128, 128, 5>;
using WidePairWgmmaTile = WgmmaTile<128, 256, 4, 2>;

// Calls body(Tile) for the chosen one.
template <typename Body>
void with_wgmma_tile(KernelKind kernel, Body&& body) {
  if (kernel == KernelKind::wgmma_128x256)
    body(WideWgmmaTile{});
  else if (kernel == KernelKind::wgmma_256x128)
    body(TallWgmmaTile{});
  else if (kernel == KernelKind::wgmma_128x256_pair)
    body(WidePairWgmmaTile{});
  else
    body(SquareWgmmaTile{});
}

// The groups' pictures follow each other, so that all are one tensor, of which group g has those from g n on. Copies do
// not stop at a group's last pixel: their further rows are the next group's pixels, or zeros behind the last group.
inline int64_t pictures_of(const Conv2d& v) {
  return int64_t(v.groups) * v.n;
}

// The pixels of x that outputs see, `pixels` at a time, from the first tap on: the box ends where the filter ends at
// the padding's end.
inline Im2col pixels_of(const Conv2d& v, const void* x, int pixels) {
  return {x,
          pictures_of(v),
          v.h,
          v.w,
          v.c,
          -v.pad_left,
          -v.pad_top,
          v.pad_right - (v.s - 1),
          v.pad_bottom - (v.r - 1),
          v.stride,
          pixels};
}

// w as [group][k][tap][c], 64 channels of one tap of `filters` filters at a time, zeros behind the k of a group.
inline Tiled filters_of(const Conv2d& v, const void* w, int filters) {
  const int64_t taps = int64_t(v.r) * v.s;
  return {w, {v.c, taps, v.k, v.groups}, {v.c, v.c * taps, std::max(v.weight_stride, v.weights())}, 1, filters};
}

// The tiles of m x n results, those of a pair as one.
template <typename T>
int64_t wgmma_tiles_of(int64_t m, int64_t n) {
  return (m + T::kRows - 1) / T::kRows * ((n + T::kN - 1) / T::kN);
}

// Blocks that stay, for so many tiles or pairs of tiles.
template <typename T>
Geometry wgmma_geometry(int tiles) {
  const int clusters = std::min(tiles, std::max(multiprocessors() / T::kBlocks, 1));
  return {unsigned(clusters * T::kBlocks), T::kThreads, T::kShared, T::kBlocks};
}

// Of all groups and parts, `of_part` each. Kernels number them with int, and look a grid's size beyond the last.
inline int tiles_of(int64_t of_part, const Conv2d& v, int splits) {
  const int64_t tiles = of_part * splits * v.groups;
  if (tiles >= int64_t(1) << 30) throw std::invalid_argument("conv2d: more tiles than the wgmma kernels count");
  return int(tiles);
}

// One of the sums that `splits` blocks may share: part `part` of that of group `group`. Tiles of one follow each other.
struct SumPart {
  int group, part;
  __device__ __forceinline__ SumPart(int number, int splits) : group(number / splits), part(number % splits) {}
};

// This block's number in its cluster.
template <typename T>
__device__ __forceinline__ int wgmma_rank() {
  if constexpr (T::kBlocks == 1)
    return 0;
  else
    return cluster_rank();
}
// The first of this block's rows in row `i` of tiles.
template <typename T>
__device__ __forceinline__ int wgmma_first_row(int i) {
  return i * T::kRows + wgmma_rank<T>() * T::kM;
}
// The first row that a block brings: that of its tile, or, where there are none so far down, that of the other block's.
template <typename T>
__device__ __forceinline__ int wgmma_row_to_bring(int first, int rows) {
  return T::kBlocks == 1 || first < rows ? first : first - T::kM;
}

// Copies of this block's share of B, which go to all blocks of the cluster.
template <typename T>
__device__ __forceinline__ void load_shared(void* to, const TensorMap& map, const int (&at)[4], MBarrier& full) {
  if constexpr (T::kBlocks == 1)
    tma_load(to, map, at, full);
  else
    tma_load_to(T::kAllBlocks, to, map, at, full);
}
template <typename T>
__device__ __forceinline__ void load_shared_im2col(void* to, const TensorMap& map, const int (&at)[4], int right,
                                                   int down, MBarrier& full) {
  if constexpr (T::kBlocks == 1)
    tma_load_im2col(to, map, at, right, down, full);
  else
    tma_load_im2col_to(T::kAllBlocks, to, map, at, right, down, full);
}

// One thread of a warp, which has read what a stage held: tells all who write to it.
template <typename T>
__device__ __forceinline__ void stage_read(MBarrier& empty) {
  if constexpr (T::kBlocks == 1) {
    mbarrier_arrive(empty);
  } else {
#pragma unroll
    for (int rank = 0; rank < T::kBlocks; ++rank) mbarrier_arrive_at(empty, rank);
  }
}

// A place in the round of stages. `parity` is that of the phase of full[stage] that fills it, and the other that of the
// phase of empty[stage] that frees it: the first time round, a phase before the first, which counts as over.
template <int Stages>
struct StageWalk {
  int stage = 0, parity = 0;
  __device__ __forceinline__ void next() {
    if (++stage < Stages) return;
    stage = 0;
    parity ^= 1;
  }
};

// Where the copies of a step go.
struct StageToFill {
  unsigned char *a, *b;
  MBarrier* full;
};

// acc = the sums of the next `steps` stages, of this warpgroup's rows, `rows` the first, 64 after the other.
template <typename T, bool AAcross, bool BAcross>
__device__ __forceinline__ void wgmma_steps(float (&acc)[T::kHeights][T::kN / 2], const unsigned char* stages,
                                            MBarrier* full, MBarrier* empty, StageWalk<T::kStages>& walk, int steps,
                                            int rows) {
#pragma unroll
  for (auto& sums : acc)
#pragma unroll
    for (float& sum : sums) sum = 0;
#pragma unroll
  for (auto& sums : acc) wgmma_fence(sums);
  int used = 0;
  for (int step = 0; step < steps; ++step) {
    mbarrier_wait_watched(full[walk.stage], walk.parity);
    const unsigned char* const a = stages + walk.stage * T::kBytes + rows * kWgmmaRow;
    const unsigned char* const b = stages + walk.stage * T::kBytes + T::kBytesA;
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < T::kK / 16; ++i) {
      const uint64_t db = BAcross ? wgmma_across(b + 16 * kWgmmaRow * i, kWgmmaBlock) : wgmma_along(b + 32 * i);
#pragma unroll
      for (int j = 0; j < T::kHeights; ++j) {
        const unsigned char* const aj = a + j * kWgmmaBlock;
        const uint64_t da = AAcross ? wgmma_across(aj + 16 * kWgmmaRow * i, kWgmmaBlock) : wgmma_along(aj + 32 * i);
        wgmma<AAcross, BAcross>(acc[j], da, db, true);
      }
    }
    wgmma_commit();
    // The step before this one has been read, and may be overwritten.
    wgmma_wait<1>();
    if (step > 0 && lane() == 0) stage_read<T>(empty[used]);
    used = walk.stage;
    walk.next();
  }
#pragma unroll
  for (auto& sums : acc) wgmma_wait<0>(sums);
  if (steps > 0 && lane() == 0) stage_read<T>(empty[used]);
}

// All tiles of this block: of G blocks that stay, number i has i, i + G, .. below `tiles`, and so do pairs of blocks
// with pairs of tiles.
//
//   steps_of(tile)               how many steps its sum has, maybe 0
//   load(tile, next)             in the producing thread: for each of them calls next() once, which waits for a stage
//                                and returns the StageToFill, and starts copies to it, of T::kBytes in all from this
//                                block or pair
//   store(tile, acc, row, warp)  in the consumers, for each 64 rows: `row` is the first of the tile of this warp's 16,
//                                `warp` the 2 KB of shared memory that are its own
template <typename T, bool AAcross, bool BAcross, typename Steps, typename Load, typename Store>
__device__ __forceinline__ void wgmma_tiles(int tiles, Steps&& steps_of, Load&& load, Store&& store) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [T::kStages]);
  DOPPEL_SHARED(MBarrier, empty, [T::kStages]);
  DOPPEL_SHARED(MBarrier, done, [1]);
  unsigned char* const stages = wgmma_aligned(bytes);
  if (threadIdx.x == 0) {
    for (int s = 0; s < T::kStages; ++s) {
      mbarrier_init(full[s], 1);
      mbarrier_init(empty[s], T::kWarps * T::kBlocks);
    }
    mbarrier_init(done[0], T::kWarps);
    fence_proxy_async();
    if constexpr (T::kBlocks > 1) fence_mbarrier_init();
  }
  if constexpr (T::kBlocks > 1) {
    cluster_arrive();
    cluster_wait();
  } else {
    __syncthreads();
  }

  const int first = int(blockIdx.x) / T::kBlocks, apart = int(gridDim.x) / T::kBlocks;
  StageWalk<T::kStages> walk;
  if (threadIdx.x < 128) {
    registers_decrease<T::kProducerRegisters>();
    // Neither the producer nor the consumers have a register to spare for a clock.
    if (threadIdx.x == 32) mbarrier_wait(done[0], 0);
    if (threadIdx.x == 0)
      for (int tile = first; tile < tiles; tile += apart)
        load(tile, [&]() {
          const int s = walk.stage;
          mbarrier_wait_watched(empty[s], walk.parity ^ 1);
          mbarrier_expect_tx(full[s], T::kBytes);
          walk.next();
          unsigned char* const stage = stages + s * T::kBytes;
          return StageToFill{stage, stage + T::kBytesA, &full[s]};
        });
  } else {
    registers_increase<T::kConsumerRegisters>();
    const int consumer = warp() - 4, rows = consumer / 4 * (T::kM / T::kConsumers);
    unsigned char* const mine = stages + T::kStages * T::kBytes + consumer * T::kStore;
    for (int tile = first; tile < tiles; tile += apart) {
      float acc[T::kHeights][T::kN / 2];
      wgmma_steps<T, AAcross, BAcross>(acc, stages, full, empty, walk, steps_of(tile), rows);
#pragma unroll
      for (int j = 0; j < T::kHeights; ++j) store(tile, acc[j], rows + 64 * j + consumer % 4 * 16, mine);
    }
    if (lane() == 0) mbarrier_arrive(done[0]);
  }
  if constexpr (T::kBlocks > 1) {
    // Neither leaves while the other still arrives at its barriers.
    __syncwarp();
    cluster_arrive();
    cluster_wait();
  }
}

// ---- what is stored -------------------------------------------------------------------------------------------------

// 64 columns at a time: __syncwarp() keeps the compiler from working out the addresses of all 128 sums, or loading what
// they need, before it stores the first, for which there are no registers.
constexpr int kWgmmaSums = 32;  // of a thread in 64 columns

// pair(row, column, v0, v1) for all of this thread's results: row of the warp's 16, column of the tile, even, v1 that
// of column + 1.
template <int Count, typename Pair>
__device__ __forceinline__ void for_wgmma_pairs(const float (&acc)[Count], Pair&& pair) {
#pragma unroll
  for (int first = 0; first < Count; first += kWgmmaSums) {
#pragma unroll
    for (int i = first; i < first + kWgmmaSums; i += 2)
      pair(lane() / 4 + i / 2 % 2 * 8, i / 4 * 8 + lane() % 4 * 2, acc[i], acc[i + 1]);
    __syncwarp();
  }
}

// unit(row, column, values) for all of the warp's results after finish(column, v0, v1), which may change them, rounded,
// 8 columns a unit. They pass through the warp's own shared memory, swizzled as operands are, and leave as whole rows
// of 128 bytes.
template <int Count, typename Finish, typename Unit>
__device__ __forceinline__ void for_wgmma_units(const float (&acc)[Count], unsigned char* mine, Finish&& finish,
                                                Unit&& unit) {
  const auto place = [&](int row, int u) { return mine + row * kWgmmaRow + (u ^ row % 8) * 16; };
#pragma unroll
  for (int first = 0; first < Count; first += kWgmmaSums) {
#pragma unroll
    for (int i = 0; i < kWgmmaSums; i += 2) {
      float v0 = acc[first + i], v1 = acc[first + i + 1];
      finish((first + i) / 4 * 8 + lane() % 4 * 2, v0, v1);
      store_vector(place(lane() / 4 + i / 2 % 2 * 8, i / 4) + lane() % 4 * 4, to_bf16x2(v0, v1));
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = i * 4 + lane() / 8;
      unit(row, first * 2 + lane() % 8 * 8, load_vector<uint4>(place(row, lane() % 8)));
    }
    __syncwarp();
  }
}

}  // namespace doppel::DOPPEL_BACKEND
