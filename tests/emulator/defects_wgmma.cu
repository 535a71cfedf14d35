// Wrong kernels with products of warpgroups (sm_90a).
#include "emulator/defects_hopper.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

// The tile of the ground, there for all threads of the block.
__device__ void load_and_wait(unsigned char* tile, const TensorMap& map, MBarrier& full) {
  make_barrier(full);
  if (threadIdx.x == 0) load(tile, map, full);
  mbarrier_wait(full, 0);
}
__device__ unsigned char* loaded_tile(const TensorMap& map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  return tile;
}
__device__ void multiply(float (&d)[64], const unsigned char* tile) {
  wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);
  wgmma_commit();
}
// The product is issued; its first sum.
__device__ void end_product(float* out, float (&d)[64]) {
  wgmma_commit();
  wgmma_wait<0>(d);
  out[threadIdx.x] = d[0];
}

// The fifth warp's copy is on its way while the warpgroup already multiplies.
template <bool Right>
DOPPEL_GLOBAL((160), operand_not_waited_for, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  make_barrier(full[0]);
  if (threadIdx.x == 128) load(tile, map, full[0]);
  if (!Right) __syncthreads();
  if (threadIdx.x >= 128) return;
  if (Right) mbarrier_wait(full[0], 0);
  float d[64];
  wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);  // <- operand_not_waited_for
  end_product(out, d);
}

// The next tile overwrites an operand that the product still reads.
template <bool Right>
DOPPEL_GLOBAL((160), operand_overwritten, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  float d[64];
  multiply(d, tile);
  if (Right) wgmma_wait<0>(d);
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_expect_tx(full[0], kTileBytes);
    tma_load(tile, map, {0, 0, 0, 0}, full[0]);  // <- operand_overwritten
  }
  wgmma_wait<0>(d);
  mbarrier_wait(full[0], 1);
  out[threadIdx.x] = d[0];
}

template <bool Right>
DOPPEL_GLOBAL((160), sums_read_early, float* out, const float*, const TensorMap map) {
  unsigned char* const tile = loaded_tile(map);
  float d[64];
  multiply(d, tile);
  if (Right) wgmma_wait<0>(d);
  out[threadIdx.x] = d[5];  // <- sums_read_early
  wgmma_wait<0>(d);
}

// The older group is over, the younger one, of the same sums, is not.
template <bool Right>
DOPPEL_GLOBAL((160), group_too_few, float* out, const float*, const TensorMap map) {
  unsigned char* const tile = loaded_tile(map);
  float d[64];
  multiply(d, tile);
  multiply(d, tile);
  wgmma_wait<Right ? 0 : 1>(d);
  out[threadIdx.x] = d[5];  // <- group_too_few
  wgmma_wait<0>(d);
}

template <bool Right>
DOPPEL_GLOBAL((160), sums_never_waited_for, float* out, const float*, const TensorMap map) {
  unsigned char* const tile = loaded_tile(map);
  float d[64];
  wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);  // <- sums_never_waited_for
  wgmma_commit();
  out[threadIdx.x] = 0;
  if (Right) wgmma_wait<0>(d);
}

template <bool Right>
DOPPEL_GLOBAL((160), no_wgmma_fence, float* out, const float*, const TensorMap map) {
  unsigned char* const tile = loaded_tile(map);
  float d[64];
  if (Right) wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);  // <- no_wgmma_fence
  end_product(out, d);
}

// Between two products the thread changes a sum.
template <bool Right>
DOPPEL_GLOBAL((160), sums_touched, float* out, const float*, const TensorMap map) {
  unsigned char* const tile = loaded_tile(map);
  float d[64];
  multiply(d, tile);
  wgmma_wait<0>(d);
  d[threadIdx.x % 64] += 1;
  if (Right) wgmma_fence(d);
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), true);  // <- sums_touched
  end_product(out, d);
}

template <bool Right>
DOPPEL_GLOBAL((160), three_warps, float* out, const float*, const TensorMap map) {
  unsigned char* const tile = loaded_tile(map);
  if (!Right && warp() == 3) return;
  float d[64];
  multiply(d, tile);
  wgmma_wait<0>(d);  // <- three_warps
  out[threadIdx.x] = d[0];
}

template <bool Right>
DOPPEL_GLOBAL((160), operands_differ, float* out, const float*, const TensorMap map) {
  unsigned char* const tile = loaded_tile(map);
  const int step = Right ? 0 : warp() % 2;
  float d[64];
  wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile + 32 * step), wgmma_along(tile), false);  // <- operands_differ
  end_product(out, d);
}

// The same product, but two instructions.
template <bool Right>
DOPPEL_GLOBAL((160), wgmma_in_branches, float* out, const float*, const TensorMap map) {
  unsigned char* const tile = loaded_tile(map);
  float d[64];
  wgmma_fence();
  if (Right || warp() % 2 == 0)
    wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);
  else
    wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);  // <- wgmma_in_branches
  end_product(out, d);
}

template <bool Right>
DOPPEL_GLOBAL((160), pattern_misaligned, float* out, const float*, const TensorMap map) {
  unsigned char* const tile = loaded_tile(map);
  float d[64];
  wgmma_fence();
  const uint64_t a = wgmma_along(tile + (Right ? 0 : 128));
  wgmma<false, false>(d, a, wgmma_along(tile), false);  // <- pattern_misaligned
  end_product(out, d);
}

// Operands by ordinary stores.
template <bool Right>
DOPPEL_GLOBAL((160), no_proxy_fence, float* out, const float*, const TensorMap) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  unsigned char* const tile = wgmma_aligned(bytes);
  for (int i = int(threadIdx.x); i < kTileBytes / 4; i += 128) reinterpret_cast<float*>(tile)[i] = 0;
  if (Right) fence_proxy_async();
  __syncthreads();
  float d[64];
  wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);  // <- no_proxy_fence
  end_product(out, d);
}

}  // namespace

std::vector<Planted> planted_wgmma() {
  return {
      DOPPEL_PLANT(operand_not_waited_for, Defect::copy_not_waited_for, true, 1, 160, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(operand_overwritten, Defect::shared_race, true, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(sums_read_early, Defect::product_not_waited_for, true, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(group_too_few, Defect::product_not_waited_for, true, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(sums_never_waited_for, Defect::product_not_waited_for, false, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(no_wgmma_fence, Defect::missing_fence, false, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(sums_touched, Defect::missing_fence, true, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(three_warps, Defect::deadlock, false, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(operands_differ, Defect::divergent_barrier, false, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(wgmma_in_branches, Defect::divergent_barrier, false, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(pattern_misaligned, Defect::misaligned, false, 1, 128, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(no_proxy_fence, Defect::missing_fence, true, 1, 128, kTileBytes + 1024, map_of(g)),
  };
}

}  // namespace doppel::testing
