// Wrong kernels whose accesses meet although there is a barrier, an mbarrier or a fence: the wrong one, or for others.
#include "emulator/defects.h"
#include "kernels/device/device.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

// ---- one reader of many ---------------------------------------------------------------------------------------------

// All 256 threads read a value; the barrier leaves one warp out, then the value is overwritten.
template <bool Right>
DOPPEL_GLOBAL((256), one_reader_of_many, float* out, const float* in) {
  DOPPEL_SHARED(float, value, [1]);
  if (threadIdx.x == 0) value[0] = in[0];
  __syncthreads();
  out[threadIdx.x] = value[0];
  if (Right) barrier_sync(1, 256);
  if (!Right && warp() != 0) barrier_sync(1, 224);
  if (threadIdx.x == 255) value[0] = in[1];  // <- one_reader_of_many
}

// The same with an array that each thread adds up.
template <bool Right>
DOPPEL_GLOBAL((256), one_reader_of_an_array, float* out, const float* in) {
  DOPPEL_SHARED(float, values, [64]);
  if (threadIdx.x < 64) values[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < 64; ++i) sum += values[i];
  out[threadIdx.x] = sum;
  if (Right) barrier_sync(1, 256);
  if (!Right && warp() != 0) barrier_sync(1, 224);
  if (threadIdx.x >= 192) values[threadIdx.x - 192] = in[1];  // <- one_reader_of_an_array
}

// The same through global memory.
template <bool Right>
DOPPEL_GLOBAL((256), one_reader_of_global, float* out, const float* in) {
  if (threadIdx.x == 0) out[0] = in[0];
  __syncthreads();
  out[512 + threadIdx.x] = out[0];
  if (Right) barrier_sync(1, 256);
  if (!Right && warp() != 0) barrier_sync(1, 224);
  if (threadIdx.x == 255) out[0] = in[1];  // <- one_reader_of_global
}

// Readers of several blocks; the last to say that it has read overwrites the value, and one block never said so.
template <bool Right>
DOPPEL_GLOBAL((64), one_block_of_many, float* out, const float* in, unsigned* counters) {
  out[256 + blockIdx.x * 64 + threadIdx.x] = out[0] + in[0];
  __syncthreads();
  if (threadIdx.x != 0 || (!Right && blockIdx.x == 1)) return;
  __threadfence();
  if (atomicAdd(counters, 1u) == gridDim.x - (Right ? 1 : 2)) out[0] = 1;  // <- one_block_of_many
}

// ---- a phase of an mbarrier that is not the one waited for ----------------------------------------------------------

// Three threads arrive in each phase. One has arrived in the second already, when another, which waited for the first
// only, reads what it wrote before that.
template <bool Right>
DOPPEL_GLOBAL((96), release_of_next_phase, float* out, const float* in) {
  DOPPEL_SHARED(MBarrier, full, [1]);
  DOPPEL_SHARED(float, x, [2]);
  if (threadIdx.x == 0) mbarrier_init(full[0], 3);
  __syncthreads();
  if (lane() != 0) return;
  if (warp() == 1) x[0] = in[0];
  mbarrier_arrive(full[0]);
  mbarrier_wait(full[0], 0);
  if (warp() == 1) x[1] = in[1];
  if (Right || warp() == 1) mbarrier_arrive(full[0]);
  if (Right) mbarrier_wait(full[0], 1);
  if (warp() == 2) out[0] = x[0] + x[1];  // <- release_of_next_phase
}

// Two copies, each its phase, which are both over when the consumer goes on; it waited for the first.
template <bool Right>
DOPPEL_GLOBAL((64), copy_of_next_phase, float* out, const float* in) {
  DOPPEL_SHARED(MBarrier, full, [1]);
  DOPPEL_SHARED(float, tile, [2][32]);
  if (threadIdx.x == 0) mbarrier_init(full[0], 32);
  __syncthreads();
  if (warp() == 0) {
    barrier_sync(1, 64);  // the consumer waits by now
    for (int i = 0; i < 2; ++i) {
      copy_async<4>(&tile[i][lane()], in + 32 * i + lane());
      copy_async_arrive(full[0]);
      __syncwarp();  // no lane arrives twice in a phase
    }
  } else {
    barrier_arrive(1, 64);
    mbarrier_wait(full[0], 0);
    float sum = tile[0][lane()];
    if (Right) mbarrier_wait(full[0], 1);
    sum += tile[1][lane()];  // <- copy_of_next_phase
    out[lane()] = sum;
  }
}

// ---- fences ---------------------------------------------------------------------------------------------------------

// The block that comes last adds up what the others wrote, with fences that are for their own blocks.
template <bool Right>
DOPPEL_GLOBAL((1), last_with_block_fence, float* out, const float* in, unsigned* counters) {
  out[blockIdx.x] = in[blockIdx.x];
  if (Right)
    __threadfence();
  else
    __threadfence_block();
  if (atomicAdd(counters, 1u) != gridDim.x - 1) return;
  float sum = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) sum += out[i];  // <- last_with_block_fence
  out[gridDim.x] = sum;
}

// ---- copies under way -----------------------------------------------------------------------------------------------

// The copy was issued before the barrier, but may read its source after it.
template <bool Right>
DOPPEL_GLOBAL((64), copy_source_overwritten, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [64]);
  out[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  copy_async<4>(&tile[threadIdx.x], out + (threadIdx.x ^ 32));
  copy_async_commit();
  if (Right) copy_async_wait<0>();
  __syncthreads();
  out[threadIdx.x] = 5;  // <- copy_source_overwritten
  copy_async_wait<0>();
  out[512 + threadIdx.x] = tile[threadIdx.x];
}

}  // namespace

std::vector<Planted> planted_order() {
  return {
      DOPPEL_PLANT(one_reader_of_many, Defect::shared_race, true, 1, 256, 0),
      DOPPEL_PLANT(one_reader_of_an_array, Defect::shared_race, true, 1, 256, 0),
      DOPPEL_PLANT(one_reader_of_global, Defect::global_race, true, 1, 256, 0),
      DOPPEL_PLANT(one_block_of_many, Defect::global_race, true, 8, 64, 0, g.counters),
      DOPPEL_PLANT(release_of_next_phase, Defect::shared_race, true, 1, 96, 0),
      DOPPEL_PLANT(copy_of_next_phase, Defect::shared_race, true, 1, 64, 0),
      DOPPEL_PLANT(last_with_block_fence, Defect::global_race, true, 8, 1, 0, g.counters),
      DOPPEL_PLANT(copy_source_overwritten, Defect::global_race, true, 1, 64, 0),
  };
}

}  // namespace doppel::testing
