// Views of 8-bit pictures, interleaved RGB and NV12: what the frame kernels read and write. A view owns nothing.
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

  constexpr uint8_t* row(int y) const { return data + y * stride; }
};

struct ConstImageView {
  const uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;

  ConstImageView() = default;
  ConstImageView(const uint8_t* d, int w, int h, std::ptrdiff_t s) : data(d), width(w), height(h), stride(s) {}
  ConstImageView(const ImageView& v) : data(v.data), width(v.width), height(v.height), stride(v.stride) {}
  constexpr const uint8_t* row(int y) const { return data + y * stride; }
};

// What R, G, B a luma and two chroma values stand for: ITU-T H.273, matrix coefficients 6 (BT.601), 1 (BT.709) and 9
// (BT.2020, non-constant luminance).
enum class YuvMatrix : int { bt601, bt709, bt2020 };

// NV12: a plane of luma, and one of half the width and height (rounded up) with Cb and Cr interleaved.
struct Nv12View {
  const uint8_t* luma = nullptr;    // [height, luma_stride]
  const uint8_t* chroma = nullptr;  // [(height + 1) / 2, chroma_stride]
  int width = 0;
  int height = 0;
  std::ptrdiff_t luma_stride = 0;    // bytes
  std::ptrdiff_t chroma_stride = 0;  // bytes, at least 2 * ((width + 1) / 2)
  YuvMatrix matrix = YuvMatrix::bt709;
  bool full_range = false;  // luma 0..255; else luma 16..235, chroma 16..240
  // Where the first chroma value lies, in luma pixels. (0, 0.5) is what H.264 and H.265 assume unless told otherwise
  // (H.264 figure E-1, type 0); JPEG has (0.5, 0.5), BT.2020 (0, 0).
  float chroma_x = 0;
  float chroma_y = 0.5f;
};

}  // namespace doppel
