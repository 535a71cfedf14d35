// The phases of a dgrad with stride 2: docs/kernels/conv2d.md. Private to kernels/conv2d_*dgrad.cu.
#pragma once

#include "kernels/both.h"

namespace doppel {

// One direction of a phase: x pixels first, first + stride, .. and taps tap, tap + stride, ..; the first of the pixels
// was seen through the first of the taps by output pixel `out`. Pixel i and tap j belong to output out + i - j.
struct Phase {
  int first, pixels, tap, taps, out;
};
DOPPEL_BOTH inline Phase phase_of(int parity, int size, int filter, int pad, int stride) {
  Phase p;
  p.tap = parity;
  p.taps = (filter - parity + stride - 1) / stride;
  p.first = stride == 2 ? (parity + pad) % 2 : 0;
  p.pixels = (size - p.first + stride - 1) / stride;
  p.out = (p.first + pad - parity) / stride;
  return p;
}

}  // namespace doppel
