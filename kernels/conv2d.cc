// What every backend's convolution shares: paddings and checks.
#include "kernels/conv2d.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace doppel {
namespace {

void same(int size, int filter, int stride, int& low, int& high) {
  const int out = (size + stride - 1) / stride;
  const int total = std::max(0, (out - 1) * stride + filter - size);
  low = total / 2;
  high = total - low;
}

void require(bool ok, const char* what, const Conv2d& c) {
  if (ok) return;
  throw std::invalid_argument(std::string("conv2d: ") + what + " (x [" + std::to_string(c.n) + "," +
                              std::to_string(c.h) + "," + std::to_string(c.w) + "," + std::to_string(c.c) + "], w [" +
                              std::to_string(c.k) + "," + std::to_string(c.r) + "," + std::to_string(c.s) +
                              "], stride " + std::to_string(c.stride) + ")");
}

}  // namespace

void pad_same(Conv2d& conv) {
  same(conv.h, conv.r, conv.stride, conv.pad_top, conv.pad_bottom);
  same(conv.w, conv.s, conv.stride, conv.pad_left, conv.pad_right);
}

void pad_symmetric(Conv2d& conv) {
  conv.pad_top = conv.pad_bottom = conv.r / 2;
  conv.pad_left = conv.pad_right = conv.s / 2;
}

void check(const Conv2d& c, const Epilogue& e) {
  require(c.n > 0 && c.h > 0 && c.w > 0 && c.c > 0 && c.k > 0, "every size must be positive", c);
  require(c.r % 2 == 1 && c.s % 2 == 1 && c.r > 0 && c.s > 0, "the filter must be odd", c);
  require(c.stride == 1 || c.stride == 2, "the stride must be 1 or 2", c);
  require(c.pad_top >= 0 && c.pad_left >= 0 && c.pad_bottom >= 0 && c.pad_right >= 0, "paddings must not be negative",
          c);
  require(c.pad_top < c.r && c.pad_bottom < c.r && c.pad_left < c.s && c.pad_right < c.s,
          "paddings must be below the filter's size", c);
  require(c.h + c.pad_top + c.pad_bottom >= c.r && c.w + c.pad_left + c.pad_right >= c.s, "the output would be empty",
          c);
  require(c.type != DType::u8 && c.out_type != DType::u8, "operands are fp32 or bf16", c);
  require(!e.shuffle || c.k % 4 == 0, "the pixel shuffle needs k divisible by 4", c);
}

}  // namespace doppel
