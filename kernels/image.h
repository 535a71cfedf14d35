// Views of interleaved 8-bit RGB pictures: what the frame kernels read and write. A view owns nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace doppel {

// Pixel (x, y) channel c is data[y * stride + 3 * x + c]; values 0..255, sRGB-coded, order R, G, B.
struct ImageView {
  uint8_t* data = nullptr;  // [height, stride], stride in bytes, at least 3 * width
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;

  uint8_t* row(int y) const { return data + y * stride; }
};

struct ConstImageView {
  const uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;

  ConstImageView() = default;
  ConstImageView(const uint8_t* d, int w, int h, std::ptrdiff_t s) : data(d), width(w), height(h), stride(s) {}
  ConstImageView(const ImageView& v) : data(v.data), width(v.width), height(v.height), stride(v.stride) {}
  const uint8_t* row(int y) const { return data + y * stride; }
};

}  // namespace doppel
