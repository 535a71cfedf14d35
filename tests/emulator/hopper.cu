#include "emulator/hopper.h"

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
void run_wgmma(float* d, const Bf16* a, const Bf16* b, int n, bool a_across, bool b_across, Stream stream) {
  if (n == 128) launch_products<128>(d, a, b, a_across, b_across, stream);
  if (n == 256) launch_products<256>(d, a, b, a_across, b_across, stream);
}

}  // namespace doppel::testing
