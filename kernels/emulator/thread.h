// What the host twins of kernels/device/*.h call: a thread's place, and the operations that wait for other threads.
// Kernels do not use this directly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace doppel::emulator {

// __launch_bounds__ of a kernel, its first parameter: at most `Threads` in a block, of which at least `Blocks` share a
// processor.
template <int Threads, int Blocks = 1>
struct Bounds {
  static constexpr int kThreads = Threads, kBlocks = Blocks;
};

using Where = std::source_location;

struct BlockPlace {
  uint3 block{};
  dim3 block_dim, grid_dim;
};
struct ThreadPlace {
  uint3 thread{};
  const BlockPlace* block = nullptr;
};

#if defined(DOPPEL_CHECKED)
// Out of line: reads of the emulator's own memory must not be taken for the kernel's.
uint3 thread_index();
uint3 block_index();
dim3 block_dim();
dim3 grid_dim();
#else
extern constinit thread_local const ThreadPlace* current_place;
inline uint3 thread_index() {
  return current_place->thread;
}
inline uint3 block_index() {
  return current_place->block->block;
}
inline dim3 block_dim() {
  return current_place->block->block_dim;
}
inline dim3 grid_dim() {
  return current_place->block->grid_dim;
}
#endif

int lane_number();

// The running thread has waited for the kernels launched before this one.
void earlier_kernels_done();

// ---- blocks of a cluster --------------------------------------------------------------------------------------------

int cluster_rank();
void cluster_arrive(Where where);
void cluster_wait(Where where);
void fence_mbarrier_init(Where where);
// At the mbarrier that lies in block `rank` of the cluster where `barrier` does in this one.
void mbarrier_arrive_at(void* barrier, int rank, Where where);

// Barrier `id` of the block for `threads` threads; 0 threads: all of them. `wait` false: only arrives.
void barrier(int id, int threads, bool wait, Where where);

// ---- what the lanes of a warp do together ---------------------------------------------------------------------------

enum class WarpOp : uint8_t {
  sync,
  shuffle,
  ballot,
  match_any,
  reduce_add,
  reduce_min,
  reduce_max,
  ldmatrix,
  mma_bf16,
  mma_tf32
};
struct ShuffleInput {
  uint64_t bits;
  int source;  // lane
};
constexpr size_t kExchangeBytes = 64;

// Gives `in`, waits until all lanes of `mask` have given theirs to the same operation, and takes `out`.
void warp_collective(WarpOp op, unsigned mask, const void* in, size_t in_bytes, void* out, size_t out_bytes,
                     Where where);
void sync_warp(unsigned mask, Where where);
void ldmatrix(uint32_t* r, const void* row, int count, bool transposed, Where where);
void mma(WarpOp op, float* d, const uint32_t* a, const uint32_t* b, const float* c, Where where);

// ---- copies and barriers in shared memory ---------------------------------------------------------------------------

void copy_async(void* to, const void* from, int bytes, int valid, Where where);
void copy_async_commit();
void copy_async_wait(int groups);

void mbarrier_init(void* barrier, int count, Where where);
void mbarrier_arrive(void* barrier, int expected_bytes, Where where);
void mbarrier_wait(void* barrier, int parity, Where where);
void copy_async_arrive(void* barrier, Where where);
void copy_bulk(void* to, const void* from, int bytes, void* barrier, Where where);

// ---- past the thread's own accesses: bulk copies of tensors, products of warpgroups (sm_90) ------------------------

struct TensorMap;  // kernels/emulator/tensor_map.h
// `blocks`: a bit for each block of the cluster that gets the bytes; 0: this one alone.
void tma_load(void* to, const TensorMap& map, const int (&at)[4], void* barrier, unsigned blocks, Where where);
void tma_load_im2col(void* to, const TensorMap& map, const int (&at)[4], int right, int down, void* barrier,
                     unsigned blocks, Where where);
void fence_proxy_async(Where where);

// Where a shared address lies, as shared memory counts its bytes.
uint32_t shared_address(const void* address);
struct WgmmaShape {
  int n;                    // columns of b; a has 64 rows, the sum 16 terms
  bool a_across, b_across;  // memory runs across the sum
};
void wgmma(float* d, uint64_t a, uint64_t b, bool accumulate, const WgmmaShape& shape, Where where);
void wgmma_fence();
void wgmma_commit();
void wgmma_wait(int groups, Where where);
// The threads of a warpgroup have `count` registers each from here on, more or fewer than before.
void change_registers(int count, bool more, Where where);

// Reports an address that is no multiple of `alignment`.
void check_aligned(const void* address, size_t alignment, Where where);

}  // namespace doppel::emulator
