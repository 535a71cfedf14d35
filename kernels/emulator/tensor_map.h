// A tensor map as the emulator reads it: what the driver packs into 128 bytes for a card (kernels/device/tma.h).
#pragma once

#include <cstdint>

namespace doppel::emulator {

struct TensorMap {
  const unsigned char* data;
  bool im2col;
  int64_t sizes[4];        // elements of 2 bytes, innermost first
  int64_t strides[3];      // bytes, of dimensions 1, 2, 3
  int box[3];              // tiled
  int lower[2], upper[2];  // im2col, x first: where the first tap's pixels begin, and how far before the last they end
  int step, pixels;        // im2col
};

}  // namespace doppel::emulator
