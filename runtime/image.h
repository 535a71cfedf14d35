// An owned 8-bit RGB picture.
#pragma once

#include <vector>

#include "kernels/image.h"

namespace doppel {

class Image {
 public:
  Image() = default;
  Image(int width, int height) : width_(width), height_(height), pixels_(size_t(3) * width * height) {}

  int width() const { return width_; }
  int height() const { return height_; }
  bool empty() const { return pixels_.empty(); }
  uint8_t* row(int y) { return pixels_.data() + size_t(3) * width_ * y; }
  const uint8_t* row(int y) const { return pixels_.data() + size_t(3) * width_ * y; }
  size_t size_bytes() const { return pixels_.size(); }
  uint8_t* data() { return pixels_.data(); }
  const uint8_t* data() const { return pixels_.data(); }

  operator ImageView() { return {pixels_.data(), width_, height_, std::ptrdiff_t(3) * width_}; }
  operator ConstImageView() const { return {pixels_.data(), width_, height_, std::ptrdiff_t(3) * width_}; }

 private:
  int width_ = 0;
  int height_ = 0;
  std::vector<uint8_t> pixels_;  // [height, width, 3]
};

}  // namespace doppel
