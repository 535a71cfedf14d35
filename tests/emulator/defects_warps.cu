// Wrong kernels whose threads do not come together as an instruction wants them, or wait for nobody; and instructions
// that are given what they do not take.
#include <type_traits>

#include "emulator/defects.h"
#include "kernels/device/device.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

// ---- alignment of shared arrays -------------------------------------------------------------------------------------

// An array of floats that would be aligned for vectors if it were alone.
template <bool Right>
DOPPEL_GLOBAL((32), static_alignment, float* out, const float* in) {
  using Element = std::conditional_t<Right, float4, float>;
  DOPPEL_SHARED(float, pad, [1]);
  DOPPEL_SHARED(Element, tile, [Right ? 16 : 64]);
  if (lane() == 0) pad[0] = in[0];
  __syncwarp();
  if (lane() < 16)
    store_vector(reinterpret_cast<float4*>(tile) + lane(), make_float4(1, 2, 3, pad[0]));  // <- static_alignment
  __syncwarp();
  out[lane()] = reinterpret_cast<const float*>(tile)[lane()];
}

// ---- warps in two places --------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((32), mma_in_branches, float* out, const float* in) {
  float d[4] = {in[0], in[1], in[2], in[3]};
  const uint32_t a[4] = {1, 2, 3, 4}, b[2] = {1, 2};
  if (Right || lane() < 16)
    mma_m16n8k16_bf16(d, a, b, d);
  else
    mma_m16n8k16_bf16(d, a, b, d);  // <- mma_in_branches
  out[lane()] = d[0];
}

template <bool Right>
DOPPEL_GLOBAL((32), ldmatrix_in_branches, float* out, const float* in) {
  DOPPEL_SHARED(uint4, rows, [8]);
  if (lane() < 8) rows[lane()] = load_vector<uint4>(in + 4 * lane());
  __syncwarp();
  uint32_t r[1];
  if (Right || lane() < 16)
    ldmatrix<1>(r, &rows[lane() % 8]);
  else
    ldmatrix<1>(r, &rows[lane() % 8]);  // <- ldmatrix_in_branches
  out[lane()] = float(r[0]);
}

// 16 lanes of each of two warps, which make 32.
template <bool Right>
DOPPEL_GLOBAL((64), half_warps_at_barrier, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [64]);
  tile[threadIdx.x] = in[threadIdx.x];
  if (Right || lane() < 16) barrier_sync(1, Right ? 64 : 32);  // <- half_warps_at_barrier
  if (lane() < 16) out[threadIdx.x] = tile[threadIdx.x ^ 32];
}

template <bool Right>
DOPPEL_GLOBAL((64), barrier_in_branches_of_warp, float* out, const float* in) {
  if (Right || lane() < 16)
    barrier_sync(1, 64);
  else
    barrier_sync(1, 64);  // <- barrier_in_branches_of_warp
  out[threadIdx.x] = in[threadIdx.x];
}

// The first of two arrivals at one barrier may not be over; each tile has its own.
template <bool Right>
DOPPEL_GLOBAL((64), arrives_twice, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [2][32]);
  if (warp() == 0) {
    for (int i = 0; i < 2; ++i) {
      tile[i][lane()] = in[32 * i + lane()];
      barrier_arrive(Right ? 1 + i : 1, 64);  // <- arrives_twice
    }
  } else {
    barrier_sync(1, 64);
    float sum = tile[0][lane()];
    barrier_sync(Right ? 2 : 1, 64);
    out[lane()] = sum + tile[1][lane()];
  }
}

template <bool Right>
DOPPEL_GLOBAL((64), arrivals_in_branches_of_warp, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  if (warp() == 0) {
    tile[lane()] = in[lane()];
    if (Right || lane() < 16)
      barrier_arrive(1, 64);
    else
      barrier_arrive(1, 64);  // <- arrivals_in_branches_of_warp
  } else {
    barrier_sync(1, 64);
    out[lane()] = tile[lane()];
  }
}

// ---- waiting in a loop ----------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((64), spin_on_flag, float* out, const float* in) {
  DOPPEL_SHARED(int, flag, [1]);
  if (threadIdx.x == 0) flag[0] = 0;
  __syncthreads();
  if (warp() == 0)
    while (atomicAdd(&flag[0], 0) == 0) {  // <- spin_on_flag
    }
  else if (Right && lane() == 0)
    atomicExch(&flag[0], 1);
  out[threadIdx.x] = in[0];
}

// A lock that its owner forgets.
template <bool Right>
DOPPEL_GLOBAL((64), lock_never_opened, float* out, const float* in, unsigned* counters) {
  if (lane() == 0) {
    while (atomicCAS(counters, 0u, 1u) != 0) {  // <- lock_never_opened
    }
    atomicAdd(counters + 1, 1u);
    if (Right) atomicExch(counters, 0u);
  }
  out[threadIdx.x] = in[0];
}

// ---- what an instruction does not take ------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((32), segments_of_twelve, float* out, const float* in) {
  out[lane()] = __shfl_sync(kAllLanes, in[lane()], 3, Right ? 16 : 12);  // <- segments_of_twelve
}

template <bool Right>
DOPPEL_GLOBAL((64), mbarrier_made_twice, float* out, const float* in) {
  DOPPEL_SHARED(MBarrier, full, [1]);
  if (threadIdx.x == 0) mbarrier_init(full[0], 64);
  __syncthreads();
  mbarrier_arrive(full[0]);
  if (!Right && threadIdx.x == 0) mbarrier_init(full[0], 64);  // <- mbarrier_made_twice
  mbarrier_wait(full[0], 0);
  out[threadIdx.x] = in[threadIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((32), proxy_fence_too_early, float* out, const float* in) {
  if (!Right) fence_proxy_async();  // <- proxy_fence_too_early
  out[lane()] = in[lane()];
}

DOPPEL_GLOBAL((1), large_variables, float* out, const float* in) {
  volatile float v[1 << 16];
  for (int i = 0; i < 1 << 16; ++i) v[i] = in[i % Ground::kSize];
  out[0] = v[7];
}

}  // namespace

void run_out_of_stack(const Ground& ground, Stream stream) {
  DOPPEL_KERNEL(large_variables).launch({1, 1}, ground.out, ground.in, stream);
}

std::vector<Planted> planted_warps() {
  return {
      DOPPEL_PLANT(static_alignment, Defect::misaligned, false, 1, 32, 0),
      DOPPEL_PLANT(mma_in_branches, Defect::divergent_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(ldmatrix_in_branches, Defect::divergent_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(half_warps_at_barrier, Defect::divergent_barrier, false, 1, 64, 0),
      DOPPEL_PLANT(barrier_in_branches_of_warp, Defect::divergent_barrier, false, 1, 64, 0),
      DOPPEL_PLANT(arrives_twice, Defect::bad_barrier, false, 1, 64, 0),
      DOPPEL_PLANT(arrivals_in_branches_of_warp, Defect::divergent_barrier, false, 1, 64, 0),
      DOPPEL_PLANT(spin_on_flag, Defect::deadlock, false, 1, 64, 0),
      DOPPEL_PLANT(lock_never_opened, Defect::deadlock, false, 1, 64, 0, g.counters),
      DOPPEL_PLANT(segments_of_twelve, Defect::bad_barrier, false, 1, 32, 0),
      DOPPEL_PLANT(mbarrier_made_twice, Defect::bad_barrier, false, 1, 64, 0),
      DOPPEL_PLANT(proxy_fence_too_early, Defect::launch, false, 1, 32, 0),
  };
}

}  // namespace doppel::testing
