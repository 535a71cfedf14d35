// Wrong kernels with bulk copies of tensors (sm_90).
#include "emulator/defects_hopper.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

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

template <bool Right>
DOPPEL_GLOBAL((160), picture_not_there, float* out, const float*, const TensorMap map) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  make_barrier(full[0]);
  if (threadIdx.x != 0) return;
  mbarrier_expect_tx(full[0], 16 * 128);
  tma_load_im2col(wgmma_aligned(bytes), map, {0, 0, 0, Right ? 1 : 2}, 0, 0, full[0]);  // <- picture_not_there
  mbarrier_wait(full[0], 0);
  out[0] = 0;
}

// Two pictures of 4 x 4 pixels of 64 channels.
TensorMap pictures_of(const Ground& g) {
  return make_tensor_map(Im2col{g.in, 2, 4, 4, 64, 0, 0, 0, 0, 1, 16});
}

}  // namespace

std::vector<Planted> planted_tma() {
  return {
      DOPPEL_PLANT(box_not_waited_for, Defect::copy_not_waited_for, true, 1, 32, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(too_many_bytes_expected, Defect::deadlock, false, 1, 32, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(too_few_bytes_expected, Defect::deadlock, false, 1, 32, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(barrier_not_fenced, Defect::missing_fence, false, 1, 32, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(box_misaligned, Defect::misaligned, false, 1, 32, kTileBytes + 1024, map_of(g)),
      DOPPEL_PLANT(picture_not_there, Defect::out_of_bounds, false, 1, 32, kTileBytes + 1024, pictures_of(g)),
  };
}

}  // namespace doppel::testing
