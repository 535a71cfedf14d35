// What the wrong kernels for sm_90a share: a tile of the ground in shared memory, by a bulk copy. For defects_tma.cu,
// defects_cluster.cu and defects_wgmma.cu.
#pragma once

#include "emulator/defects.h"
#include "kernels/device/device.h"
#include "kernels/device/tma.h"
#include "kernels/device/wgmma.h"

namespace doppel::testing {

using namespace DOPPEL_BACKEND;

// A tile that a and b of a product both are: 128 rows of 64, of which the ground fills the first 32.
constexpr int kRows = 128, kTileBytes = kRows * 128;

inline TensorMap map_of(const Ground& g) {
  return make_tensor_map(
      Tiled{g.in, {64, Ground::kSize / 32, 1, 1}, {64, 2 * Ground::kSize, 2 * Ground::kSize}, kRows, 1});
}

// Half of it at a time.
inline TensorMap half_of(const Ground& g) {
  return make_tensor_map(
      Tiled{g.in, {64, Ground::kSize / 32, 1, 1}, {64, 2 * Ground::kSize, 2 * Ground::kSize}, kRows / 2, 1});
}

__device__ inline void make_barrier(MBarrier& full) {
  if (threadIdx.x == 0) mbarrier_init(full, 1), fence_proxy_async();
  __syncthreads();
}
__device__ inline void load(unsigned char* tile, const TensorMap& map, MBarrier& full) {
  mbarrier_expect_tx(full, kTileBytes);
  tma_load(tile, map, {0, 0, 0, 0}, full);
}

}  // namespace doppel::testing
