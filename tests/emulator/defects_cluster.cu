// Wrong kernels of blocks that share what they load (sm_90).
#include "emulator/defects_hopper.h"
#include "kernels/device/cluster.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

enum class Mistake { none, no_barrier, leaves, own_arrivals, own_count, own_copies, reads_late, two_places };

// Two blocks, one stage of two halves: each block loads its half to both, round after round, when the consumers of both
// have read the last one. Warp 0 produces, warp 1 consumes.
constexpr int kHalf = kTileBytes / 2, kRounds = 4;

__device__ inline void rounds(float* out, const TensorMap& map, Mistake mistake) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  DOPPEL_SHARED(MBarrier, full, [1]);
  DOPPEL_SHARED(MBarrier, empty, [1]);
  unsigned char* const stage = wgmma_aligned(bytes);
  const int rank = cluster_rank(), other = 1 - rank;
  if (threadIdx.x == 0) {
    mbarrier_init(full[0], 1);
    mbarrier_init(empty[0], mistake == Mistake::own_count ? 1 : 2);
    fence_proxy_async();
    fence_mbarrier_init();
  }
  if (mistake == Mistake::no_barrier) {
    __syncthreads();
  } else if (mistake == Mistake::two_places && threadIdx.x == 1) {
    cluster_arrive();
    cluster_wait();
  } else {
    cluster_arrive();  // <- comes_elsewhere
    cluster_wait();
  }
  if (threadIdx.x == 0)
    for (int round = 0; round < kRounds; ++round) {
      mbarrier_wait(empty[0], round % 2 ^ 1);  // <- arrives_only_at_its_own
      mbarrier_expect_tx(full[0], 2 * kHalf);
      unsigned char* const to = stage + rank * kHalf;
      if (mistake == Mistake::own_copies)
        tma_load(to, map, {0, kRows / 2 * rank, 0, 0}, full[0]);
      else
        tma_load_to(3, to, map, {0, kRows / 2 * rank, 0, 0}, full[0]);  // <- no_cluster_barrier
    }
  if (threadIdx.x >= 32)
    for (int round = 0; round < kRounds; ++round) {
      mbarrier_wait(full[0], round % 2);  // <- half_to_its_own_block
      const auto read = [&] {
        for (int i = int(threadIdx.x) % 32; i < 2 * kHalf / 4; i += 32)
          if (i < 16)
            out[int(blockIdx.x) * 16 + i] = reinterpret_cast<const float*>(stage)[i];  // <- reads_after_arriving
      };
      if (mistake != Mistake::reads_late) read();
      __syncwarp();
      if (lane() == 0) {
        mbarrier_arrive(empty[0]);
        if (mistake != Mistake::own_arrivals && mistake != Mistake::own_count)
          mbarrier_arrive_at(empty[0], other);  // <- block_leaves_early
      }
      if (mistake == Mistake::reads_late) read();
    }
  if (mistake == Mistake::leaves) return;
  __syncwarp();
  cluster_arrive();
  cluster_wait();
}

#define DOPPEL_ROUNDS(name, mistake)                                         \
  template <bool Right>                                                      \
  DOPPEL_GLOBAL((64), name, float* out, const float*, const TensorMap map) { \
    rounds(out, map, Right ? Mistake::none : Mistake::mistake);              \
  }
DOPPEL_ROUNDS(no_cluster_barrier, no_barrier)
DOPPEL_ROUNDS(block_leaves_early, leaves)
DOPPEL_ROUNDS(arrives_only_at_its_own, own_arrivals)
DOPPEL_ROUNDS(half_to_its_own_block, own_copies)
DOPPEL_ROUNDS(reads_after_arriving, reads_late)
DOPPEL_ROUNDS(comes_elsewhere, two_places)
DOPPEL_ROUNDS(counts_its_own_alone, own_count)
#undef DOPPEL_ROUNDS

template <bool Right>
DOPPEL_GLOBAL((64), waits_without_coming, float* out, const float*, const TensorMap) {
  if (Right) cluster_arrive();
  cluster_wait();  // <- waits_without_coming
  out[blockIdx.x * 64 + threadIdx.x] = 0;
}

template <bool Right>
DOPPEL_GLOBAL((64), comes_twice, float* out, const float*, const TensorMap) {
  cluster_arrive();
  if (!Right) cluster_arrive();  // <- comes_twice
  cluster_wait();
  out[blockIdx.x * 64 + threadIdx.x] = 0;
}

// Each block is arrived at by both.
template <bool Right>
DOPPEL_GLOBAL((64), reaches_no_block, float* out, const float*, const TensorMap) {
  DOPPEL_SHARED(MBarrier, both, [1]);
  if (threadIdx.x == 0) mbarrier_init(both[0], 2), fence_mbarrier_init();
  cluster_arrive();
  cluster_wait();
  if (threadIdx.x < 2) mbarrier_arrive_at(both[0], Right ? int(threadIdx.x) : 2);  // <- reaches_no_block
  mbarrier_wait(both[0], 0);
  out[blockIdx.x * 64 + threadIdx.x] = 0;
  cluster_arrive();
  cluster_wait();
}

template <bool Right>
DOPPEL_GLOBAL((64), no_cluster_fence, float* out, const float*, const TensorMap) {
  DOPPEL_SHARED(MBarrier, both, [1]);
  if (threadIdx.x == 0) {
    mbarrier_init(both[0], 2);
    if (Right) fence_mbarrier_init();
  }
  cluster_arrive();
  cluster_wait();
  if (threadIdx.x < 2) mbarrier_arrive_at(both[0], int(threadIdx.x));  // <- no_cluster_fence
  mbarrier_wait(both[0], 0);
  out[blockIdx.x * 64 + threadIdx.x] = 0;
  cluster_arrive();
  cluster_wait();
}

}  // namespace

std::vector<Planted> planted_cluster() {
#define DOPPEL_PLANT_PAIR(name, defect, checked_only)                                                    \
  Planted {                                                                                              \
#name, defect, checked_only,                                                                           \
        [](const Ground& g, Stream s) {                                                                \
          DOPPEL_KERNEL(name<false>).launch({4, 64, kTileBytes + 1024, 2}, g.out, g.in, half_of(g), s); \
        },                                                                                             \
        [](const Ground& g, Stream s) {                                                                \
          DOPPEL_KERNEL(name<true>).launch({4, 64, kTileBytes + 1024, 2}, g.out, g.in, half_of(g), s);  \
        } \
  }
  return {
      DOPPEL_PLANT_PAIR(no_cluster_barrier, Defect::bad_barrier, false),
      DOPPEL_PLANT_PAIR(no_cluster_fence, Defect::bad_barrier, false),
      DOPPEL_PLANT_PAIR(block_leaves_early, Defect::left_too_early, true),
      DOPPEL_PLANT_PAIR(arrives_only_at_its_own, Defect::deadlock, false),
      DOPPEL_PLANT_PAIR(half_to_its_own_block, Defect::deadlock, false),
      DOPPEL_PLANT_PAIR(reads_after_arriving, Defect::shared_race, true),
      DOPPEL_PLANT_PAIR(comes_elsewhere, Defect::divergent_barrier, false),
      DOPPEL_PLANT_PAIR(waits_without_coming, Defect::bad_barrier, false),
      DOPPEL_PLANT_PAIR(comes_twice, Defect::bad_barrier, false),
      DOPPEL_PLANT_PAIR(reaches_no_block, Defect::out_of_bounds, false),
  };
#undef DOPPEL_PLANT_PAIR
}

void run_counts_its_own_alone(const Ground& g, Stream s) {
  DOPPEL_KERNEL(counts_its_own_alone<false>).launch({4, 64, kTileBytes + 1024, 2}, g.out, g.in, half_of(g), s);
}

}  // namespace doppel::testing
