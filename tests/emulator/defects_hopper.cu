// Wrong kernels with bulk copies of tensors and products of warpgroups (sm_90a).
#include "emulator/defects.h"
#include "kernels/device/device.h"
#include "kernels/device/tma.h"
#include "kernels/device/wgmma.h"

namespace doppel::testing {
namespace {

using emulator::Defect;
using namespace DOPPEL_BACKEND;

// A tile that a and b of a product both are: 128 rows of 64, of which the ground fills the first 32.
constexpr int kRows = 128, kTileBytes = kRows * 128;

TensorMap map_of(const Ground& g) {
  return make_tensor_map(
      Tiled{g.in, {64, Ground::kSize / 32, 1, 1}, {64, 2 * Ground::kSize, 2 * Ground::kSize}, kRows, 1});
}

__device__ void make_barrier(MBarrier& full) {
  if (threadIdx.x == 0) mbarrier_init(full, 1), fence_proxy_async();
  __syncthreads();
}
__device__ void load(unsigned char* tile, const TensorMap& map, MBarrier& full) {
  mbarrier_expect_tx(full, kTileBytes);
  tma_load(tile, map, {0, 0, 0, 0}, full);
}
// The tile, there for all threads of the block.
__device__ void load_and_wait(unsigned char* tile, const TensorMap& map, MBarrier& full) {
  make_barrier(full);
  if (threadIdx.x == 0) load(tile, map, full);
  mbarrier_wait(full, 0);
}
__device__ void multiply(float (&d)[64], const unsigned char* tile) {
  wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);
  wgmma_commit();
}

// ---- copies ---------------------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((160), box_not_waited_for, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  make_barrier(full[0]);
  if (threadIdx.x != 0) return;
  load(wgmma_aligned(bytes), map, full[0]);
  if (Right) mbarrier_wait(full[0], 0);
  out[0] = *reinterpret_cast<const float*>(wgmma_aligned(bytes));  // <- box_not_waited_for
}

template <bool Right>
DOPPEL_GLOBAL((160), too_many_bytes_expected, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  make_barrier(full[0]);
  if (threadIdx.x == 0) {
    mbarrier_expect_tx(full[0], Right ? kTileBytes : kTileBytes + 128);
    tma_load(wgmma_aligned(bytes), map, {0, 0, 0, 0}, full[0]);
  }
  mbarrier_wait(full[0], 0);  // <- too_many_bytes_expected
  out[threadIdx.x] = 0;
}

template <bool Right>
DOPPEL_GLOBAL((160), too_few_bytes_expected, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  make_barrier(full[0]);
  if (threadIdx.x == 0) {
    mbarrier_expect_tx(full[0], Right ? kTileBytes : kTileBytes - 128);
    tma_load(wgmma_aligned(bytes), map, {0, 0, 0, 0}, full[0]);
  }
  mbarrier_wait(full[0], 0);  // <- too_few_bytes_expected
  out[threadIdx.x] = 0;
}

template <bool Right>
DOPPEL_GLOBAL((160), barrier_not_fenced, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  if (threadIdx.x == 0) {
    mbarrier_init(full[0], 1);
    if (Right) fence_proxy_async();
    mbarrier_expect_tx(full[0], kTileBytes);
    tma_load(wgmma_aligned(bytes), map, {0, 0, 0, 0}, full[0]);  // <- barrier_not_fenced
  }
  __syncthreads();
  mbarrier_wait(full[0], 0);
  out[threadIdx.x] = 0;
}

template <bool Right>
DOPPEL_GLOBAL((160), box_misaligned, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  make_barrier(full[0]);
  if (threadIdx.x != 0) return;
  mbarrier_expect_tx(full[0], kTileBytes);
  tma_load(wgmma_aligned(bytes) + (Right ? 0 : 64), map, {0, 0, 0, 0}, full[0]);  // <- box_misaligned
  mbarrier_wait(full[0], 0);
  out[0] = 0;
}

// ---- products -------------------------------------------------------------------------------------------------------

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
  wgmma_commit();
  wgmma_wait<0>(d);
  out[threadIdx.x] = d[0];
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
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  float d[64];
  multiply(d, tile);
  if (Right) wgmma_wait<0>(d);
  out[threadIdx.x] = d[5];  // <- sums_read_early
  wgmma_wait<0>(d);
}

// The older group is over, the younger one, of the same sums, is not.
template <bool Right>
DOPPEL_GLOBAL((160), group_too_few, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  float d[64];
  multiply(d, tile);
  multiply(d, tile);
  wgmma_wait<Right ? 0 : 1>(d);
  out[threadIdx.x] = d[5];  // <- group_too_few
  wgmma_wait<0>(d);
}

template <bool Right>
DOPPEL_GLOBAL((160), sums_never_waited_for, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  float d[64];
  wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);  // <- sums_never_waited_for
  wgmma_commit();
  out[threadIdx.x] = 0;
  if (Right) wgmma_wait<0>(d);
}

template <bool Right>
DOPPEL_GLOBAL((160), no_wgmma_fence, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  float d[64];
  if (Right) wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);  // <- no_wgmma_fence
  wgmma_commit();
  wgmma_wait<0>(d);
  out[threadIdx.x] = d[0];
}

// Between two products the thread changes a sum.
template <bool Right>
DOPPEL_GLOBAL((160), sums_touched, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  float d[64];
  multiply(d, tile);
  wgmma_wait<0>(d);
  d[threadIdx.x % 64] += 1;
  if (Right) wgmma_fence(d);
  wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), true);  // <- sums_touched
  wgmma_commit();
  wgmma_wait<0>(d);
  out[threadIdx.x] = d[0];
}

template <bool Right>
DOPPEL_GLOBAL((160), three_warps, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  if (!Right && warp() == 3) return;
  float d[64];
  multiply(d, tile);
  wgmma_wait<0>(d);  // <- three_warps
  out[threadIdx.x] = d[0];
}

template <bool Right>
DOPPEL_GLOBAL((160), operands_differ, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  const int step = Right ? 0 : warp() % 2;
  float d[64];
  wgmma_fence();
  wgmma<false, false>(d, wgmma_along(tile + 32 * step), wgmma_along(tile), false);  // <- operands_differ
  wgmma_commit();
  wgmma_wait<0>(d);
  out[threadIdx.x] = d[0];
}

// The same product, but two instructions.
template <bool Right>
DOPPEL_GLOBAL((160), wgmma_in_branches, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  float d[64];
  wgmma_fence();
  if (Right || warp() % 2 == 0)
    wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);
  else
    wgmma<false, false>(d, wgmma_along(tile), wgmma_along(tile), false);  // <- wgmma_in_branches
  wgmma_commit();
  wgmma_wait<0>(d);
  out[threadIdx.x] = d[0];
}

template <bool Right>
DOPPEL_GLOBAL((160), pattern_misaligned, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  unsigned char* const tile = wgmma_aligned(bytes);
  load_and_wait(tile, map, full[0]);
  float d[64];
  wgmma_fence();
  const uint64_t a = wgmma_along(tile + (Right ? 0 : 128));
  wgmma<false, false>(d, a, wgmma_along(tile), false);  // <- pattern_misaligned
  wgmma_commit();
  wgmma_wait<0>(d);
  out[threadIdx.x] = d[0];
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
  wgmma_commit();
  wgmma_wait<0>(d);
  out[threadIdx.x] = d[0];
}

}  // namespace

std::vector<Planted> planted_hopper() {
#define PLANT(name, defect, checked_only, block)                                                             \
  Planted {                                                                                                  \
#name, defect, checked_only,                                                                               \
        [](const Ground& g, Stream s) {                                                                        \
          DOPPEL_KERNEL(name<false>).launch({1, block, kTileBytes + 1024}, g.out, g.in, map_of(g), s);         \
        },                                                                                                     \
        [](const Ground& g, Stream s) {                                                                        \
          DOPPEL_KERNEL(name<true>).launch({1, block, kTileBytes + 1024}, g.out, g.in, map_of(g), s);          \
        } \
  }
  return {
      PLANT(box_not_waited_for, Defect::copy_not_waited_for, true, 32),
      PLANT(too_many_bytes_expected, Defect::deadlock, false, 32),
      PLANT(too_few_bytes_expected, Defect::deadlock, false, 32),
      PLANT(barrier_not_fenced, Defect::missing_fence, false, 32),
      PLANT(box_misaligned, Defect::misaligned, false, 32),
      PLANT(operand_not_waited_for, Defect::copy_not_waited_for, true, 160),
      PLANT(operand_overwritten, Defect::shared_race, true, 128),
      PLANT(sums_read_early, Defect::product_not_waited_for, true, 128),
      PLANT(group_too_few, Defect::product_not_waited_for, true, 128),
      PLANT(sums_never_waited_for, Defect::product_not_waited_for, false, 128),
      PLANT(no_wgmma_fence, Defect::missing_fence, false, 128),
      PLANT(sums_touched, Defect::missing_fence, true, 128),
      PLANT(three_warps, Defect::deadlock, false, 128),
      PLANT(operands_differ, Defect::divergent_barrier, false, 128),
      PLANT(wgmma_in_branches, Defect::divergent_barrier, false, 128),
      PLANT(pattern_misaligned, Defect::misaligned, false, 128),
      PLANT(no_proxy_fence, Defect::missing_fence, true, 128),
  };
#undef PLANT
}

}  // namespace doppel::testing
