// Small kernels for the instructions of sm_90 and sm_90a; tests/emulator/test_hopper.cc.
#pragma once

#include "kernels/device/tensor_box.h"
#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel::testing {

// out [rows][64]: the box of a tensor at (c, j, k, l), or the pixels of pictures from (x, y) of picture n on, channels
// from c on, moved by (right, down), brought to shared memory, from row `row` of a pattern on, and read back through
// the swizzle.
void run_tma_load(Bf16* out, const Tiled& tensor, const int (&at)[4], Stream stream);
void run_tma_load_im2col(Bf16* out, const Im2col& pictures, const int (&at)[4], int right, int down, int row,
                         Stream stream);

// out [4 blocks][32][64]: two pairs of blocks, of which each block brings half of a box of 32 rows at (0, 0, 0, 0) to
// both; 16 pixels from each of two places on, alike. Both maps are of 16 rows.
void run_tma_load_to(Bf16* out, const Tiled& tensor, Stream stream);
void run_tma_load_im2col_to(Bf16* out, const Im2col& pictures, const int (&at)[2][4], Stream stream);
// out [blocks]: each block of a cluster of `cluster` gets as many arrivals from each block as that one's rank says.
void run_arrive_at(int* out, int blocks, int cluster, Stream stream);

// d [64][n] = a [64][64] b [64][n] + a b: one warpgroup, n = 128 or 256. In memory a is [64 rows][64 terms], or,
// across, [64 terms][64 rows]; b is [n][64 terms] or [64 terms][n].
void run_wgmma(float* d, const Bf16* a, const Bf16* b, int n, bool a_across, bool b_across, Stream stream);

}  // namespace doppel::testing
