// Sums over a block, in a fixed order: within each warp by the butterfly of warp_sum, then over the warps by the first.
#pragma once

#include "kernels/device/barrier.h"
#include "kernels/device/shared.h"
#include "kernels/device/warp.h"

namespace doppel {

// The sum over all `Threads` threads of the block, in every thread. All of them must call it; it ends with a barrier,
// so that it can be called again at once.
template <int Threads, typename T>
__device__ __forceinline__ T block_sum(T v) {
  static_assert(Threads % kWarpSize == 0 && Threads <= 1024);
  constexpr int kWarps = Threads / kWarpSize;
  DOPPEL_SHARED(T, sums, [kWarps]);
  v = warp_sum(v);
  if (lane() == 0) sums[warp()] = v;
  __syncthreads();
  T total = 0;
  for (int i = 0; i < kWarps; ++i) total += sums[i];
  __syncthreads();
  return total;
}

}  // namespace doppel
