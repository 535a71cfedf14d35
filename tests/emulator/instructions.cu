#include "emulator/instructions.h"

#include "kernels/device/device.h"
#include "kernels/device/reduce.h"

namespace doppel::testing {
namespace {

DOPPEL_GLOBAL((1024), indices, int* out) {
  const int threads = int(blockDim.x * blockDim.y * blockDim.z);
  out[int(blockIdx.x) * threads + thread_number()] = int(1000 * blockIdx.x) + thread_number();
}

DOPPEL_GLOBAL((256), block_sums, float* out, const float* x) {
  const float sum = block_sum<256>(x[blockIdx.x * 256 + threadIdx.x]);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

DOPPEL_GLOBAL((1024), warps, uint32_t* out, const uint32_t* x) {
  const int i = lane();
  const uint32_t v = x[i];
  out[0 * 32 + i] = __shfl_sync(kAllLanes, v, 3);
  out[1 * 32 + i] = __shfl_up_sync(kAllLanes, v, 1);
  out[2 * 32 + i] = __shfl_down_sync(kAllLanes, v, 2);
  out[3 * 32 + i] = __shfl_xor_sync(kAllLanes, v, 5);
  out[4 * 32 + i] = __shfl_up_sync(kAllLanes, v, 1, 8);
  out[5 * 32 + i] = __ballot_sync(kAllLanes, v & 1u);
  out[6 * 32 + i] = __match_any_sync(kAllLanes, v / 4);
  out[7 * 32 + i] = __reduce_add_sync(kAllLanes, v);
  const int s = int(v) - 115;  // of both signs
  out[8 * 32 + i] = uint32_t(__reduce_min_sync(kAllLanes, s));
  out[9 * 32 + i] = uint32_t(__reduce_max_sync(kAllLanes, s));
  out[10 * 32 + i] = __reduce_min_sync(kAllLanes, uint32_t(s));
  out[11 * 32 + i] = __reduce_max_sync(kAllLanes, uint32_t(s));
}

constexpr int kTiles = 8;

DOPPEL_GLOBAL((1024), pipeline_barriers, float* out, const float* x) {
  DOPPEL_SHARED(float, tile, [2][32]);
  // Barrier 1 + s: tile s is full; 3 + s: it is empty.
  if (warp() == 0) {
    for (int i = 0; i < kTiles; ++i) {
      if (i >= 2) barrier_sync(3 + i % 2, 64);
      tile[i % 2][lane()] = x[i * 32 + lane()];
      barrier_arrive(1 + i % 2, 64);
    }
  } else {
    float sum = 0;
    for (int i = 0; i < kTiles; ++i) {
      barrier_sync(1 + i % 2, 64);
      sum += tile[i % 2][lane()];
      if (i + 2 < kTiles) barrier_arrive(3 + i % 2, 64);
    }
    out[lane()] = sum;
  }
}

DOPPEL_GLOBAL((1024), pipeline_mbarriers, float* out, const float* x) {
  DOPPEL_SHARED(float, tile, [2][32]);
  DOPPEL_SHARED(MBarrier, full, [2]);
  DOPPEL_SHARED(MBarrier, empty, [2]);
  if (threadIdx.x < 2) {
    mbarrier_init(full[threadIdx.x], 32);
    mbarrier_init(empty[threadIdx.x], 32);
  }
  __syncthreads();
  if (warp() == 0) {
    for (int i = 0; i < kTiles; ++i) {
      if (i >= 2) mbarrier_wait(empty[i % 2], (i / 2 - 1) % 2);
      copy_async<4>(&tile[i % 2][lane()], x + i * 32 + lane());
      copy_async_arrive(full[i % 2]);
    }
  } else {
    float sum = 0;
    for (int i = 0; i < kTiles; ++i) {
      mbarrier_wait(full[i % 2], i / 2 % 2);
      sum += tile[i % 2][lane()];
      mbarrier_arrive(empty[i % 2]);
    }
    out[lane()] = sum;
  }
}

DOPPEL_GLOBAL((1024), pipeline_bulk, float* out, const float* x) {
  DOPPEL_SHARED(uint4, tile, [2][8]);
  DOPPEL_SHARED(MBarrier, full, [2]);
  DOPPEL_SHARED(MBarrier, empty, [2]);
  if (threadIdx.x < 2) {
    mbarrier_init(full[threadIdx.x], 1);
    mbarrier_init(empty[threadIdx.x], 32);
    fence_proxy_async();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 0; i < kTiles; ++i) {
      if (i >= 2) mbarrier_wait(empty[i % 2], (i / 2 - 1) % 2);
      mbarrier_expect_tx(full[i % 2], 128);
      copy_bulk(&tile[i % 2], x + i * 32, 128, full[i % 2]);
    }
  }
  if (warp() == 1) {
    float sum = 0;
    for (int i = 0; i < kTiles; ++i) {
      mbarrier_wait(full[i % 2], i / 2 % 2);
      sum += reinterpret_cast<const float*>(&tile[i % 2][0])[lane()];
      mbarrier_arrive(empty[i % 2]);
    }
    out[lane()] = sum;
  }
}

DOPPEL_GLOBAL((1024), mma_bf16, float* d, const Bf16* a, const Bf16* b, const float* c) {
  DOPPEL_SHARED(uint4, tile_a, [16][2]);  // 16-byte rows of 8 elements
  DOPPEL_SHARED(uint4, tile_b, [16]);
  const int l = lane(), g = l / 4, t = l % 4;
  tile_a[l / 2][l % 2] = load_vector<uint4>(a + l * 8);
  if (l < 16) tile_b[l] = load_vector<uint4>(b + l * 8);
  __syncwarp();
  uint32_t fa[4], fb[2];
  ldmatrix<4>(fa, &tile_a[l % 16][l / 16]);
  ldmatrix<2, true>(fb, &tile_b[l % 16]);
  float f[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
  mma_m16n8k16_bf16(f, fa, fb, f);
  d[g * 8 + 2 * t] = f[0];
  d[g * 8 + 2 * t + 1] = f[1];
  d[(g + 8) * 8 + 2 * t] = f[2];
  d[(g + 8) * 8 + 2 * t + 1] = f[3];
}

DOPPEL_GLOBAL((1024), mma_tf32, float* d, const float* a, const float* b, const float* c) {
  const int g = lane() / 4, t = lane() % 4;
  const uint32_t fa[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]),
                          to_tf32(a[(g + 8) * 8 + t + 4])};
  const uint32_t fb[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
  float f[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
  mma_m16n8k8_tf32(f, fa, fb, f);
  d[g * 8 + 2 * t] = f[0];
  d[g * 8 + 2 * t + 1] = f[1];
  d[(g + 8) * 8 + 2 * t] = f[2];
  d[(g + 8) * 8 + 2 * t + 1] = f[3];
}

template <int Count, bool Transposed>
DOPPEL_GLOBAL((1024), matrices, uint32_t* out, const Bf16* x) {
  DOPPEL_SHARED(uint4, rows, [32]);
  rows[lane()] = load_vector<uint4>(x + lane() * 8);
  __syncwarp();
  uint32_t r[Count];
  ldmatrix<Count, Transposed>(r, &rows[lane()]);
  for (int i = 0; i < Count; ++i) out[i * 32 + lane()] = r[i];
}

template <int Bytes>
DOPPEL_GLOBAL((1024), copies, float* out, const float* x, int valid) {
  DOPPEL_SHARED(uint4, tile, [32]);
  float* values = reinterpret_cast<float*>(&tile[0]);
  constexpr int kEach = Bytes / 4;
  for (int i = int(threadIdx.x) * kEach; i < 128; i += 32 * kEach) {
    const int rest = valid - i;
    copy_async<Bytes>(values + i, x + i, 4 * (rest < 0 ? 0 : rest < kEach ? rest : kEach));
  }
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  for (int i = int(threadIdx.x); i < 128; i += 32) out[i] = values[i];
}

DOPPEL_GLOBAL((1024), copy_timing, float* early, float* late, const float* x) {
  DOPPEL_SHARED(float, tile, [2][32]);
  tile[0][lane()] = tile[1][lane()] = -1;
  copy_async<4>(&tile[0][lane()], x + lane());
  copy_async_commit();
  copy_async<4>(&tile[1][lane()], x + lane());
  copy_async_commit();
  copy_async_wait<1>();
  early[lane()] = tile[1][lane()];
  early[32 + lane()] = tile[0][lane()];
  copy_async_wait<0>();
  late[lane()] = tile[1][lane()];
}

DOPPEL_GLOBAL((1024), atomics, unsigned* count, int* low, int* high, const int* x) {
  const int v = x[blockIdx.x * blockDim.x + threadIdx.x];
  atomicAdd(count, 1u);
  atomicMin(low, v);
  atomicMax(high, v);
}

DOPPEL_GLOBAL((64), last_block, float* last, float* partial, unsigned* count, const float* x) {
  DOPPEL_SHARED(bool, is_last, [1]);
  const float sum = block_sum<64>(x[blockIdx.x * 64 + threadIdx.x]);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    __threadfence();
    is_last[0] = atomicAdd(count, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!is_last[0]) return;
  float total = 0;
  for (unsigned i = threadIdx.x; i < gridDim.x; i += 64) total += partial[i];
  total = block_sum<64>(total);
  if (threadIdx.x == 0) last[0] = total;
}

DOPPEL_GLOBAL((1024), poison, float* out) {
  DOPPEL_SHARED(float, fixed, [4]);
  DOPPEL_SHARED_DYNAMIC(bytes);
  float* dynamic = reinterpret_cast<float*>(bytes);
  out[2 * blockIdx.x] = dynamic[0];
  out[2 * blockIdx.x + 1] = fixed[0];
  dynamic[0] = fixed[0] = 1;
}

DOPPEL_GLOBAL((1024), shared, float* out) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  bytes[0] = 1;
  if (threadIdx.x == 0) out[0] = float(bytes[0]);
}

template <bool Transposed>
void launch_matrices(uint32_t* out, const Bf16* x, int count, Stream stream) {
  if (count == 1) DOPPEL_KERNEL(matrices<1, Transposed>).launch({1, 32}, out, x, stream);
  if (count == 2) DOPPEL_KERNEL(matrices<2, Transposed>).launch({1, 32}, out, x, stream);
  if (count == 4) DOPPEL_KERNEL(matrices<4, Transposed>).launch({1, 32}, out, x, stream);
}

}  // namespace

bool compiled_for_card() {
  return DOPPEL_ON_CARD;
}

void run_indices(int* out, int blocks, int x, int y, int z, Stream stream) {
  DOPPEL_KERNEL(indices).launch({unsigned(blocks), {unsigned(x), unsigned(y), unsigned(z)}}, out, stream);
}
void run_block_sum(float* out, const float* x, int blocks, Stream stream) {
  DOPPEL_KERNEL(block_sums).launch({unsigned(blocks), 256}, out, x, stream);
}
void run_warp(uint32_t* out, const uint32_t* x, Stream stream) {
  DOPPEL_KERNEL(warps).launch({1, 32}, out, x, stream);
}
void run_pipeline_barriers(float* out, const float* x, Stream stream) {
  DOPPEL_KERNEL(pipeline_barriers).launch({1, 64}, out, x, stream);
}
void run_pipeline_mbarriers(float* out, const float* x, Stream stream) {
  DOPPEL_KERNEL(pipeline_mbarriers).launch({1, 64}, out, x, stream);
}
void run_pipeline_bulk(float* out, const float* x, Stream stream) {
  DOPPEL_KERNEL(pipeline_bulk).launch({1, 64}, out, x, stream);
}
void run_mma_bf16(float* d, const Bf16* a, const Bf16* b, const float* c, Stream stream) {
  DOPPEL_KERNEL(mma_bf16).launch({1, 32}, d, a, b, c, stream);
}
void run_mma_tf32(float* d, const float* a, const float* b, const float* c, Stream stream) {
  DOPPEL_KERNEL(mma_tf32).launch({1, 32}, d, a, b, c, stream);
}
void run_ldmatrix(uint32_t* out, const Bf16* x, int count, bool transposed, Stream stream) {
  transposed ? launch_matrices<true>(out, x, count, stream) : launch_matrices<false>(out, x, count, stream);
}
void run_copy_async(float* out, const float* x, int bytes, int valid, Stream stream) {
  if (bytes == 4) DOPPEL_KERNEL(copies<4>).launch({1, 32}, out, x, valid, stream);
  if (bytes == 8) DOPPEL_KERNEL(copies<8>).launch({1, 32}, out, x, valid, stream);
  if (bytes == 16) DOPPEL_KERNEL(copies<16>).launch({1, 32}, out, x, valid, stream);
}
void run_copy_timing(float* early, float* late, const float* x, Stream stream) {
  DOPPEL_KERNEL(copy_timing).launch({1, 32}, early, late, x, stream);
}
void run_atomics(unsigned* count, int* low, int* high, const int* x, int blocks, Stream stream) {
  DOPPEL_KERNEL(atomics).launch({unsigned(blocks), 64}, count, low, high, x, stream);
}
void run_last_block(float* last, float* partial, unsigned* count, const float* x, int blocks, Stream stream) {
  DOPPEL_KERNEL(last_block).launch({unsigned(blocks), 64}, last, partial, count, x, stream);
}
void run_poison(float* out, int blocks, Stream stream) {
  DOPPEL_KERNEL(poison).launch({unsigned(blocks), 1, 64}, out, stream);
}
void run_shared(float* out, int dynamic_bytes, int threads, Stream stream) {
  DOPPEL_KERNEL(shared).launch({1, unsigned(threads), size_t(dynamic_bytes)}, out, stream);
}

}  // namespace doppel::testing
