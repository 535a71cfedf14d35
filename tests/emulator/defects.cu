#include "emulator/defects.h"

#include "kernels/device/device.h"
#include "kernels/device/reduce.h"

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

// ---- out of bounds --------------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((256), read_past_end, float* out, const float* in) {
  const int i = int(blockIdx.x * 256 + threadIdx.x);
  out[i] = in[Right ? i : i + 1];  // <- read_past_end
}

template <bool Right>
DOPPEL_GLOBAL((256), write_past_end, float* out, const float* in) {
  const int i = int(blockIdx.x * 256 + threadIdx.x);
  if (Right ? i < Ground::kSize : i <= Ground::kSize) out[i] = 1 + 0 * in[0];  // <- write_past_end
}

template <bool Right>
DOPPEL_GLOBAL((256), vector_past_end, float* out, const float* in) {
  const int i = int(threadIdx.x) * 4 + Ground::kSize - 128 + (Right ? 0 : 4);
  const float4 v = load_vector<float4>(in + i);  // <- vector_past_end
  out[threadIdx.x] = v.x;
}

template <bool Right>
DOPPEL_GLOBAL((256), null_pointer, float* out, const float* in) {
  const float* p = Right ? in : nullptr;
  out[threadIdx.x] = p[threadIdx.x];  // <- null_pointer
}

template <bool Right>
DOPPEL_GLOBAL((256), inner_extent, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [4][32]);
  const int row = warp(), column = Right ? lane() : lane() + 1;
  tile[row][column] = in[threadIdx.x];  // <- inner_extent
  __syncthreads();
  out[threadIdx.x] = tile[row][column];
}

template <bool Right>
DOPPEL_GLOBAL((256), past_dynamic, float* out, const float* in) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  float* tile = reinterpret_cast<float*>(bytes);
  tile[Right ? threadIdx.x : threadIdx.x + 1] = in[threadIdx.x];  // <- past_dynamic
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

// Through a pointer, so that no extent is known: into the gap behind the array.
template <bool Right>
DOPPEL_GLOBAL((256), past_static, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  DOPPEL_SHARED(float, next, [32]);
  float* p = tile;
  const int i = Right ? lane() : lane() + 1;
  p[i] = in[lane()];  // <- past_static
  next[lane()] = p[i];
  out[lane()] = next[lane()];
}

template <bool Right>
DOPPEL_GLOBAL((256), local_array, float* out, const float* in) {
  float v[4] = {in[0], in[1], in[2], in[3]};
  const unsigned i = Right ? threadIdx.x % 4 : threadIdx.x % 5;
  v[i] += 1;  // <- local_array
  out[threadIdx.x] = v[0] + v[1] + v[2] + v[3];
}

// ---- barriers -------------------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((256), barrier_in_branch, float* out, const float* in) {
  if (Right || threadIdx.x < 32) __syncthreads();
  if (!Right && threadIdx.x >= 32) __syncthreads();  // <- barrier_in_branch
  out[threadIdx.x] = in[threadIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((256), left_before_barrier, float* out, const float* in) {
  if (!Right && threadIdx.x >= 40) return;
  __syncthreads();  // <- left_before_barrier
  out[threadIdx.x] = in[threadIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((256), shuffle_in_branch, float* out, const float* in) {
  float v = in[lane()];
  if (Right || lane() < 16) v = __shfl_xor_sync(kAllLanes, v, 1);  // <- shuffle_in_branch
  out[lane()] = v;
}

template <bool Right>
DOPPEL_GLOBAL((256), vote_meets_shuffle, float* out, const float* in) {
  float v = in[lane()];
  if (Right || lane() < 16)
    v = __shfl_xor_sync(kAllLanes, v, 1);
  else
    v = float(__ballot_sync(kAllLanes, v > 0));  // <- vote_meets_shuffle
  out[lane()] = v;
}

template <bool Right>
DOPPEL_GLOBAL((256), barrier_never_full, float* out, const float* in) {
  if (warp() == 0) barrier_sync(1, Right ? 32 : 64);  // <- barrier_never_full
  out[threadIdx.x] = in[threadIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((256), mbarrier_missing_arrival, float* out, const float* in) {
  DOPPEL_SHARED(MBarrier, full, [1]);
  if (threadIdx.x == 0) mbarrier_init(full[0], 32);
  __syncthreads();
  if (Right || lane() > 0) mbarrier_arrive(full[0]);
  mbarrier_wait(full[0], 0);  // <- mbarrier_missing_arrival
  out[lane()] = in[lane()];
}

template <bool Right>
DOPPEL_GLOBAL((256), mbarrier_not_made, float* out, const float* in) {
  DOPPEL_SHARED(MBarrier, full, [1]);
  if (Right && threadIdx.x == 0) mbarrier_init(full[0], 32);
  if (!Right && threadIdx.x == 0) full[0].state = 0;
  __syncthreads();
  mbarrier_arrive(full[0]);  // <- mbarrier_not_made
  mbarrier_wait(full[0], 0);
  out[lane()] = in[lane()];
}

template <bool Right>
DOPPEL_GLOBAL((256), not_in_mask, float* out, const float* in) {
  out[lane()] = __shfl_xor_sync(Right ? kAllLanes : 0x7FFFFFFFu, in[lane()], 1);  // <- not_in_mask
}

// ---- misaligned vectors ---------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((256), misaligned_load, float* out, const float* in) {
  const float4 v = load_vector<float4>(in + (Right ? 4 : 2));  // <- misaligned_load
  out[threadIdx.x] = v.x + v.w;
}

template <bool Right>
DOPPEL_GLOBAL((256), misaligned_cast, float* out, const float* in) {
  const float2 v = *reinterpret_cast<const float2*>(in + (Right ? 2 : 1));  // <- misaligned_cast
  out[threadIdx.x] = v.x + v.y;
}

template <bool Right>
DOPPEL_GLOBAL((256), misaligned_copy, float* out, const float* in) {
  DOPPEL_SHARED(float4, tile, [2]);
  copy_async<16>(&tile[0], in + (Right ? 4 : 1));  // <- misaligned_copy
  copy_async_commit();
  copy_async_wait<0>();
  out[0] = tile[0].x;
}

template <bool Right>
DOPPEL_GLOBAL((256), misaligned_row, float* out, const float* in) {
  DOPPEL_SHARED(float4, tile, [9]);
  if (lane() < 9) tile[lane()] = load_vector<float4>(in);
  __syncwarp();
  uint32_t r[1];
  ldmatrix<1>(r, reinterpret_cast<const float*>(&tile[lane() % 8]) + (Right ? 0 : 1));  // <- misaligned_row
  out[lane()] = float(r[0]);
}

// ---- asynchronous copies --------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((256), copy_without_wait, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  copy_async<4>(&tile[lane()], in + lane());
  copy_async_commit();
  if (Right) copy_async_wait<0>();
  out[lane()] = tile[lane()];  // <- copy_without_wait
}

// Two groups under way, and the wait lets one more go on than it may.
template <bool Right>
DOPPEL_GLOBAL((256), one_group_too_few, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [2][32]);
  for (int i = 0; i < 2; ++i) {
    copy_async<4>(&tile[i][lane()], in + 32 * i + lane());
    copy_async_commit();
  }
  copy_async_wait<Right ? 1 : 2>();
  out[lane()] = tile[0][lane()];  // <- one_group_too_few
}

// The wait is for the thread's own copies; those of others take a barrier after it.
template <bool Right>
DOPPEL_GLOBAL((256), barrier_before_wait, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  copy_async<4>(&tile[lane()], in + lane());
  copy_async_commit();
  if (!Right) __syncthreads();
  copy_async_wait<0>();
  if (Right) __syncthreads();
  out[lane()] = tile[lane() ^ 1];  // <- barrier_before_wait
}

// The next copy is issued while others still read.
template <bool Right>
DOPPEL_GLOBAL((256), copy_over_readers, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  float sum = 0;
  for (int i = 0; i < 2; ++i) {
    copy_async<4>(&tile[lane()], in + 32 * i + lane());  // <- copy_over_readers
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    sum += tile[lane() ^ 1];
    if (Right) __syncthreads();
  }
  out[lane()] = sum;
}

// ---- global memory --------------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((256), blocks_write_same, float* out, const float* in) {
  out[Right ? blockIdx.x * 32 + threadIdx.x : blockIdx.x + threadIdx.x] = in[threadIdx.x];  // <- blocks_write_same
}

template <bool Right>
DOPPEL_GLOBAL((256), reads_other_block, float* out, const float* in) {
  const int i = int(blockIdx.x * 32 + threadIdx.x);
  out[i] = in[i];
  if (Right || i == 0 || threadIdx.x != 0) return;
  out[i + 512] = out[i - 1];  // <- reads_other_block
}

template <bool Right>
DOPPEL_GLOBAL((256), global_in_block, float* out, const float* in) {
  out[threadIdx.x] = in[threadIdx.x];
  if (Right) __syncthreads();
  out[512 + threadIdx.x] = out[threadIdx.x ^ 32];  // <- global_in_block
}

// The block that comes last adds up what the others wrote; without their fences it may not see it.
template <bool Right>
DOPPEL_GLOBAL((256), last_without_fence, float* out, const float* in, unsigned* counters) {
  out[blockIdx.x] = in[blockIdx.x];
  if (Right) __threadfence();
  if (atomicAdd(counters, 1u) != gridDim.x - 1) return;
  float sum = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) sum += out[i];  // <- last_without_fence
  out[gridDim.x] = sum;
}

template <bool Right>
DOPPEL_GLOBAL((256), plain_counter, float* out, const float* in, unsigned* counters) {
  if (Right)
    atomicAdd(counters, 1u);
  else
    counters[0] += 1;  // <- plain_counter
  out[blockIdx.x] = in[blockIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((256), writes_input, float* out, const float* in) {
  float* p = Right ? out : const_cast<float*>(in);
  p[threadIdx.x] = 1;  // <- writes_input
}

// ---- launches -------------------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((Right ? 64 : 32, 2), beyond_bounds, float* out, const float* in) {
  out[threadIdx.x] = in[threadIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((256), static_too_large, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [Right ? 12 * 1024 : 13 * 1024]);
  tile[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = tile[threadIdx.x];
}

}  // namespace

std::vector<Planted> planted() {
  return {
      DOPPEL_PLANT(neighbour, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(overwrite, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(shuffle_is_no_barrier, Defect::shared_race, true, 1, 32, 0),
      DOPPEL_PLANT(wrong_warp, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(no_full_barrier, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(halves, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(matrix_too_soon, Defect::shared_race, true, 1, 32, 0),
      DOPPEL_PLANT(skipped_tail, Defect::uninitialised_shared, true, 1, 64, 0),
      DOPPEL_PLANT(read_past_end, Defect::out_of_bounds, true, 4, 256, 0),
      DOPPEL_PLANT(write_past_end, Defect::out_of_bounds, true, 5, 256, 0),
      DOPPEL_PLANT(vector_past_end, Defect::out_of_bounds, true, 1, 32, 0),
      DOPPEL_PLANT(null_pointer, Defect::out_of_bounds, true, 1, 32, 0),
      DOPPEL_PLANT(inner_extent, Defect::out_of_bounds, true, 1, 128, 0),
      DOPPEL_PLANT(past_dynamic, Defect::out_of_bounds, true, 1, 64, 64 * sizeof(float)),
      DOPPEL_PLANT(past_static, Defect::out_of_bounds, true, 1, 32, 0),
      DOPPEL_PLANT(local_array, Defect::out_of_bounds, true, 1, 32, 0),
      DOPPEL_PLANT(barrier_in_branch, Defect::divergent_barrier, false, 1, 64, 0),
      DOPPEL_PLANT(left_before_barrier, Defect::divergent_barrier, true, 1, 64, 0),
      DOPPEL_PLANT(shuffle_in_branch, Defect::divergent_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(vote_meets_shuffle, Defect::divergent_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(barrier_never_full, Defect::deadlock, false, 1, 64, 0),
      DOPPEL_PLANT(mbarrier_missing_arrival, Defect::deadlock, false, 1, 32, 0),
      DOPPEL_PLANT(mbarrier_not_made, Defect::bad_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(not_in_mask, Defect::bad_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(misaligned_load, Defect::misaligned, false, 1, 1, 0),
      DOPPEL_PLANT(misaligned_cast, Defect::misaligned, true, 1, 1, 0),
      DOPPEL_PLANT(misaligned_copy, Defect::misaligned, false, 1, 1, 0),
      DOPPEL_PLANT(misaligned_row, Defect::misaligned, false, 1, 32, 0),
      DOPPEL_PLANT(copy_without_wait, Defect::copy_not_waited_for, true, 1, 32, 0),
      DOPPEL_PLANT(one_group_too_few, Defect::copy_not_waited_for, true, 1, 32, 0),
      DOPPEL_PLANT(barrier_before_wait, Defect::copy_not_waited_for, true, 1, 32, 0),
      DOPPEL_PLANT(copy_over_readers, Defect::shared_race, true, 1, 32, 0),
      DOPPEL_PLANT(blocks_write_same, Defect::global_race, true, 4, 32, 0),
      DOPPEL_PLANT(reads_other_block, Defect::global_race, true, 4, 32, 0),
      DOPPEL_PLANT(global_in_block, Defect::global_race, true, 1, 64, 0),
      DOPPEL_PLANT(last_without_fence, Defect::global_race, true, 8, 1, 0, g.counters),
      DOPPEL_PLANT(plain_counter, Defect::global_race, true, 4, 1, 0, g.counters),
      DOPPEL_PLANT(writes_input, Defect::write_to_input, true, 1, 32, 0),
      DOPPEL_PLANT(static_too_large, Defect::launch, false, 1, 32, 0),
      DOPPEL_PLANT(beyond_bounds, Defect::launch, false, 1, 64, 0),
  };
}

}  // namespace doppel::testing
