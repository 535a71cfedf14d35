// What is left to do around a library's convolution or matrix product, which knows neither our activations nor the
// pixel shuffle: the epilogue as a pass of its own, and column sums. Our own kernels carry both along and do not need
// these.
//
//   finish:       y = shuffle(f(z + b)), as in kernels/conv2d.h
//   column_sums:  sums[k] = sum over rows of x[row, k]
//
// On a card and on the emulator only.
#pragma once

#include <cstdint>

#include "kernels/activation.h"
#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace doppel {

struct Finish {
  int n, h, w, k;  // of z
  DType z_type, y_type;
  Activation activation = Activation::none;
  float slope = 0;
  bool shuffle = false;  // needs k % 4 == 0
};

// z [N,H,W,K]; b [K], or null for none; y [N,H,W,K], or [N,2H,2W,K/4] with the shuffle. y may be z when the types are
// the same and nothing is shuffled.
void finish(void* y, const void* z, const float* b, const Finish& f, Stream stream);

// x [rows, columns] of `type`; sums [columns]. Each column is added in fp32 from the first row to the last.
void column_sums(float* sums, const void* x, int64_t rows, int columns, DType type, Stream stream);

}  // namespace doppel
