#include "emulator/hopper.h"

#include "kernels/device/cluster.h"
#include "kernels/device/device.h"
#include "kernels/device/tma.h"
#include "kernels/device/wgmma.h"

namespace doppel::testing {
namespace {

using namespace DOPPEL_BACKEND;

constexpr int kRow = 128;  // bytes

// `rows` rows from shared memory, from row `first` of `tile` on, unit u of 16 bytes from where the swizzle has put it.
__device__ void copy_out(Bf16* out, const unsigned char* tile, int first, int rows) {
  for (int i = int(threadIdx.x); i < rows * 8; i += int(blockDim.x)) {
    const int row = first + i / 8, unit = i % 8;
    store_vector(out + i * 8, load_vector<uint4>(tile + row * kRow + (unit ^ row % 8) * 16));
  }
}

template <typename Load>
__device__ void bring(Bf16* out, unsigned char* tile, int first, int rows, Load&& load) {
  DOPPEL_SHARED(MBarrier, full, [1]);
  if (threadIdx.x == 0) {
    mbarrier_init(full[0], 1);
    fence_proxy_async();
    mbarrier_expect_tx(full[0], rows * kRow);
    load(tile + first * kRow, full[0]);
  }
  __syncthreads();
  mbarrier_wait(full[0], 0);
  copy_out(out, tile, first, rows);
}

DOPPEL_GLOBAL((64), tiles, Bf16* out, DOPPEL_GRID_CONSTANT const TensorMap map, int rows, int c, int j, int k, int l) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  bring(out, wgmma_aligned(bytes), 0, rows, [&](unsigned char* to, MBarrier& full) {
    tma_load(to, map, {c, j, k, l}, full);
  });
}

DOPPEL_GLOBAL((64), pixels, Bf16* out, DOPPEL_GRID_CONSTANT const TensorMap map, int first, int rows, int c, int x,
              int y, int n, int right, int down) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  bring(out, wgmma_aligned(bytes), first, rows, [&](unsigned char* to, MBarrier& full) {
    tma_load_im2col(to, map, {c, x, y, n}, right, down, full);
  });
}

// load(to, full): this block's half of the rows, to both of its pair.
template <typename Load>
__device__ void bring_together(Bf16* out, unsigned char* tile, Load&& load) {
  constexpr int kRows = 32;
  DOPPEL_SHARED(MBarrier, full, [1]);
  if (threadIdx.x == 0) {
    mbarrier_init(full[0], 1);
    fence_proxy_async();
    fence_mbarrier_init();
  }
  cluster_arrive();
  cluster_wait();
  if (threadIdx.x == 0) {
    // The other's half may come before this: then the barrier has fewer bytes to come than none.
    load(tile + cluster_rank() * kRows / 2 * kRow, full[0]);
    mbarrier_expect_tx(full[0], kRows * kRow);
  }
  mbarrier_wait(full[0], 0);
  copy_out(out + blockIdx.x * kRows * 64, tile, 0, kRows);
  __syncwarp();
  cluster_arrive();
  cluster_wait();
}

DOPPEL_GLOBAL((64), tiles_together, Bf16* out, DOPPEL_GRID_CONSTANT const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  bring_together(out, wgmma_aligned(bytes), [&](unsigned char* to, MBarrier& full) {
    tma_load_to(3, to, map, {0, 16 * cluster_rank(), 0, 0}, full);
  });
}

DOPPEL_GLOBAL((64), pixels_together, Bf16* out, DOPPEL_GRID_CONSTANT const TensorMap map, int4 first, int4 second) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  bring_together(out, wgmma_aligned(bytes), [&](unsigned char* to, MBarrier& full) {
    const int4 at = cluster_rank() == 0 ? first : second;
    tma_load_im2col_to(3, to, map, {at.x, at.y, at.z, at.w}, 1, 0, full);
  });
}

// Block `rank` of n is done after n (n - 1) / 2 arrivals: as many from each block as its rank.
DOPPEL_GLOBAL((32), arrivals, int* out, int blocks) {
  DOPPEL_SHARED(MBarrier, all, [1]);
  if (threadIdx.x == 0) {
    mbarrier_init(all[0], 1 + blocks * (blocks - 1) / 2);
    fence_mbarrier_init();
  }
  cluster_arrive();
  cluster_wait();
  const int rank = cluster_rank();
  if (threadIdx.x == 0) {
    for (int to = 0; to < blocks; ++to)
      for (int i = 0; i < rank; ++i) mbarrier_arrive_at(all[0], to);
    mbarrier_arrive(all[0]);
    mbarrier_wait(all[0], 0);
    out[blockIdx.x] = rank;
  }
  __syncwarp();
  cluster_arrive();
  cluster_wait();
}

// Two groups of four products each: the second adds to the first without a wait between.
template <int N, bool AAcross, bool BAcross>
DOPPEL_GLOBAL((128, 1), products, float* out, DOPPEL_GRID_CONSTANT const TensorMap a_map,
              DOPPEL_GRID_CONSTANT const TensorMap b_map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const a = wgmma_aligned(bytes);
  unsigned char* const b = a + 64 * kRow;
  if (threadIdx.x == 0) {
    mbarrier_init(full[0], 1);
    fence_proxy_async();
    mbarrier_expect_tx(full[0], (64 + N) * kRow);
    tma_load(a, a_map, {0, 0, 0, 0}, full[0]);
    if (BAcross)
      for (int i = 0; i < N / 64; ++i) tma_load(b + i * 64 * kRow, b_map, {64 * i, 0, 0, 0}, full[0]);
    else
      tma_load(b, b_map, {0, 0, 0, 0}, full[0]);
  }
  __syncthreads();
  mbarrier_wait(full[0], 0);

  float d[N / 2];
  wgmma_fence();
  for (int group = 0; group < 2; ++group) {
    for (int i = 0; i < 4; ++i)
      wgmma<AAcross, BAcross>(d, AAcross ? wgmma_across(a + 2048 * i, 64 * kRow) : wgmma_along(a + 32 * i),
                              BAcross ? wgmma_across(b + 2048 * i, 64 * kRow) : wgmma_along(b + 32 * i),
                              group > 0 || i > 0);
    wgmma_commit();
  }
  wgmma_wait<1>();
  wgmma_wait<0>(d);
  const int row = warp() % 4 * 16 + lane() / 4, column = lane() % 4 * 2;
#pragma unroll
  for (int i = 0; i < N / 2; ++i) out[(row + i / 2 % 2 * 8) * N + column + i / 4 * 8 + i % 2] = d[i];
}

template <int N, bool AAcross, bool BAcross>
void launch_products(float* d, const Bf16* a, const Bf16* b, Stream stream) {
  const Tiled ta{a, {64, 64, 1, 1}, {64, 64 * 64, 64 * 64}, 64, 1};
  const Tiled tb = BAcross ? Tiled{b, {N, 64, 1, 1}, {N, 64 * N, 64 * N}, 64, 1}
                           : Tiled{b, {64, N, 1, 1}, {64, 64 * N, 64 * N}, N, 1};
  DOPPEL_KERNEL(products<N, AAcross, BAcross>)
      .launch({1, 128, (64 + N) * kRow + 1024}, d, make_tensor_map(ta), make_tensor_map(tb), stream);
}

template <int N>
void launch_products(float* d, const Bf16* a, const Bf16* b, bool a_across, bool b_across, Stream stream) {
  if (a_across && b_across) launch_products<N, true, true>(d, a, b, stream);
  if (a_across && !b_across) launch_products<N, true, false>(d, a, b, stream);
  if (!a_across && b_across) launch_products<N, false, true>(d, a, b, stream);
  if (!a_across && !b_across) launch_products<N, false, false>(d, a, b, stream);
}

}  // namespace

void run_tma_load(Bf16* out, const Tiled& t, const int (&at)[4], Stream stream) {
  const int rows = t.rows * t.planes;
  DOPPEL_KERNEL(tiles).launch({1, 64, size_t(rows) * kRow + 1024}, out, make_tensor_map(t), rows, at[0], at[1], at[2],
                              at[3], stream);
}
void run_tma_load_im2col(Bf16* out, const Im2col& t, const int (&at)[4], int right, int down, int row, Stream stream) {
  DOPPEL_KERNEL(pixels).launch({1, 64, size_t(row + t.pixels) * kRow + 1024}, out, make_tensor_map(t), row, t.pixels,
                               at[0], at[1], at[2], at[3], right, down, stream);
}
void run_tma_load_to(Bf16* out, const Tiled& t, Stream stream) {
  DOPPEL_KERNEL(tiles_together).launch({4, 64, 32 * kRow + 1024, 2}, out, make_tensor_map(t), stream);
}
void run_tma_load_im2col_to(Bf16* out, const Im2col& t, const int (&at)[2][4], Stream stream) {
  DOPPEL_KERNEL(pixels_together)
      .launch({4, 64, 32 * kRow + 1024, 2}, out, make_tensor_map(t), {at[0][0], at[0][1], at[0][2], at[0][3]},
              {at[1][0], at[1][1], at[1][2], at[1][3]}, stream);
}
void run_arrive_at(int* out, int blocks, int cluster, Stream stream) {
  DOPPEL_KERNEL(arrivals).launch({unsigned(blocks), 32, 0, cluster}, out, cluster, stream);
}
void run_wgmma(float* d, const Bf16* a, const Bf16* b, int n, bool a_across, bool b_across, Stream stream) {
  if (n == 128) launch_products<128>(d, a, b, a_across, b_across, stream);
  if (n == 256) launch_products<256>(d, a, b, a_across, b_across, stream);
}

}  // namespace doppel::testing
