// Wrong kernels that race through global memory.
#include "emulator/defects.h"
#include "kernels/device/device.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

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

}  // namespace

std::vector<Planted> planted_global() {
  return {
      DOPPEL_PLANT(blocks_write_same, Defect::global_race, true, 4, 32, 0),
      DOPPEL_PLANT(reads_other_block, Defect::global_race, true, 4, 32, 0),
      DOPPEL_PLANT(global_in_block, Defect::global_race, true, 1, 64, 0),
      DOPPEL_PLANT(last_without_fence, Defect::global_race, true, 8, 1, 0, g.counters),
      DOPPEL_PLANT(plain_counter, Defect::global_race, true, 4, 1, 0, g.counters),
      DOPPEL_PLANT(writes_input, Defect::write_to_input, true, 1, 32, 0),
  };
}

}  // namespace doppel::testing
