// Wrong kernels that race through shared memory, or read of it what nobody wrote.
#include "emulator/defects.h"
#include "kernels/device/device.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

// ---- races through shared memory ------------------------------------------------------------------------------------

// A neighbour's value, with no barrier before it.
template <bool Right>
DOPPEL_GLOBAL((256), neighbour, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [64]);
  tile[threadIdx.x] = in[threadIdx.x];
  if (Right) __syncthreads();
  out[threadIdx.x] = tile[(threadIdx.x + 63) % 64];  // <- neighbour
}

// The second barrier of a loop: the next tile overwrites what others still read.
template <bool Right>
DOPPEL_GLOBAL((256), overwrite, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [64]);
  float sum = 0;
  for (int i = 0; i < 4; ++i) {
    tile[threadIdx.x] = in[i * 64 + int(threadIdx.x)];  // <- overwrite
    __syncthreads();
    sum += tile[63 - threadIdx.x];
    if (Right) __syncthreads();
  }
  out[threadIdx.x] = sum;
}

// A shuffle brings lanes together but orders no memory.
template <bool Right>
DOPPEL_GLOBAL((256), shuffle_is_no_barrier, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  tile[lane()] = in[lane()];
  const float first = __shfl_sync(kAllLanes, in[lane()], 0);
  if (Right) __syncwarp();
  out[lane()] = first + tile[lane() ^ 1];  // <- shuffle_is_no_barrier
}

// __syncwarp orders one warp; the value comes from the other.
template <bool Right>
DOPPEL_GLOBAL((256), wrong_warp, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [64]);
  tile[threadIdx.x] = in[threadIdx.x];
  __syncwarp();
  out[threadIdx.x] = tile[Right ? threadIdx.x ^ 1 : threadIdx.x ^ 32];  // <- wrong_warp
}

// A consumer that does not wait until the producer's tile is full.
template <bool Right>
DOPPEL_GLOBAL((256), no_full_barrier, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  if (warp() == 0) {
    tile[lane()] = in[lane()];
    barrier_arrive(1, 64);
  } else {
    barrier_sync(Right ? 1 : 2, Right ? 64 : 32);
    out[lane()] = tile[lane()];  // <- no_full_barrier
  }
}

// Neighbouring 16-bit values share a word, but are not a race; the same value is.
template <bool Right>
DOPPEL_GLOBAL((256), halves, float* out, const float*) {
  DOPPEL_SHARED(uint16_t, tile, [64]);
  tile[Right ? threadIdx.x : threadIdx.x / 2] = uint16_t(threadIdx.x);  // <- halves
  __syncthreads();
  out[threadIdx.x] = float(tile[threadIdx.x / 2]);
}

// ldmatrix reads rows that other lanes wrote.
template <bool Right>
DOPPEL_GLOBAL((256), matrix_too_soon, float* out, const float* in) {
  DOPPEL_SHARED(uint4, rows, [8]);
  if (lane() < 8) rows[lane()] = load_vector<uint4>(in + 4 * lane());
  if (Right) __syncwarp();
  uint32_t r[1];
  ldmatrix<1>(r, &rows[lane() % 8 ^ 1]);  // <- matrix_too_soon
  out[lane()] = float(r[0]);
}

// ---- shared memory that nobody wrote --------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((256), skipped_tail, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [64]);
  if (Right || threadIdx.x < 63) tile[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[63 - threadIdx.x];  // <- skipped_tail
}

}  // namespace

std::vector<Planted> planted_shared() {
  return {
      DOPPEL_PLANT(neighbour, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(overwrite, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(shuffle_is_no_barrier, Defect::shared_race, true, 1, 32, 0),
      DOPPEL_PLANT(wrong_warp, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(no_full_barrier, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(halves, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(matrix_too_soon, Defect::shared_race, true, 1, 32, 0),
      DOPPEL_PLANT(skipped_tail, Defect::uninitialised_shared, true, 1, 64, 0),
  };
}

}  // namespace doppel::testing
