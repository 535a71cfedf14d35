// Small kernels, each of which does one thing that the device headers offer; tests/emulator/test_instructions.cc.
#pragma once

#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel::testing {

// Whether nvcc compiled these: then they run on a card only.
bool compiled_for_card();

// out[i] = 1000 * block + thread for `blocks` blocks of x * y * z threads, i = block * x * y * z + thread.
void run_indices(int* out, int blocks, int x, int y, int z, Stream stream);

// out[block] = sum of x over the block's 256 elements, through shared memory.
void run_block_sum(float* out, const float* x, int blocks, Stream stream);

// One warp; out [12][32]: shuffle from lane 3, up 1, down 2, xor 5, up 1 in segments of 8; ballot of odd values, match
// of value / 4, reduced sum; least and greatest of value - 115 as a signed number, the same as an unsigned one.
void run_warp(uint32_t* out, const uint32_t* x, Stream stream);

// One block of 64 threads. The first warp fills 8 tiles of 32 values, the second adds them up as they come:
// out[lane] = sum of x[tile * 32 + lane], tiles = 8; with numbered barriers, or with mbarriers.
void run_pipeline_barriers(float* out, const float* x, Stream stream);
void run_pipeline_mbarriers(float* out, const float* x, Stream stream);
// The same with bulk copies (sm_90).
void run_pipeline_bulk(float* out, const float* x, Stream stream);

// d [16,8] = a [16,16] b [16,8] + c, one warp, fragments by ldmatrix; b is given as [16,8] and read transposed.
void run_mma_bf16(float* d, const Bf16* a, const Bf16* b, const float* c, Stream stream);
// d [16,8] = a [16,8] b [8,8] + c with tf32 operands.
void run_mma_tf32(float* d, const float* a, const float* b, const float* c, Stream stream);
// out [4][32]: registers of ldmatrix x4 (or of x2, x1 in the first rows) over x [32,8].
void run_ldmatrix(uint32_t* out, const Bf16* x, int count, bool transposed, Stream stream);

// out[i] = x[i] through shared memory by copy_async of `bytes`, elements from `valid` on as 0; 128 floats, 32 threads.
void run_copy_async(float* out, const float* x, int bytes, int valid, Stream stream);
// `early`: reads before the wait. out[lane], one warp, 4 bytes each.
void run_copy_timing(float* early, float* late, const float* x, Stream stream);

// count[0] += 1 by every thread; low[0], high[0] the extremes of x; last[0] = sum of all blocks' sums, by the last
// block to come. partial [blocks] and count are workspace, count 0 before.
void run_atomics(unsigned* count, int* low, int* high, const int* x, int blocks, Stream stream);
void run_last_block(float* last, float* partial, unsigned* count, const float* x, int blocks, Stream stream);

// Stores its dynamic shared memory's first float, then its static array's first, then overwrites both.
void run_poison(float* out, int blocks, Stream stream);

void run_shared(float* out, int dynamic_bytes, int threads, Stream stream);

}  // namespace doppel::testing
