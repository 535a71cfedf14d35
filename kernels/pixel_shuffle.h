// Pixel shuffle (Shi et al. 2016, section 3.2), depth to space by 2, NHWC. Channels of the small picture are ordered
// (i, j, c), so that the shuffle moves runs of 2C elements and never single ones:
//
//   y[n, 2h + i, 2w + j, c] = x[n, h, w, (2i + j) C + c]
//
// x is [N, H, W, 4C], y is [N, 2H, 2W, C]. x and y must not overlap.
#pragma once

#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel {

struct PixelShuffle {
  int n, h, w;  // of the small picture
  int c;        // channels of the large picture
  DType type;
};

void pixel_shuffle_forward(void* y, const void* x, const PixelShuffle& p, Stream stream);

// The inverse permutation: dx from dy. Writes dx.
void pixel_shuffle_backward(void* dx, const void* dy, const PixelShuffle& p, Stream stream);

}  // namespace doppel
