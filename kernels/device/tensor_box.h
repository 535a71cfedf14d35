// What a tensor map is made of (kernels/device/tma.h), for the host.
#pragma once

#include <cstdint>
#include <string>

namespace doppel {

constexpr int kTmaRow = 64;  // elements of a box's rows

// A tensor of bf16, innermost first: `strides` in elements, of dimensions 1 to 3, multiples of 8; `data` a multiple of
// 16 bytes. A box is 64 x rows x planes x 1, both 1 .. 256.
struct Tiled {
  const void* data;
  int64_t sizes[4], strides[3];
  int rows, planes;
};

// Pictures [n, h, w, c] of bf16, c a multiple of 8, `data` of 16 bytes. The bounding box of a picture is x from lower_x
// to w - 1 + upper_x, y alike; all four are -128 .. 127, and it must not be empty. step 1 .. 8, pixels 1 .. 1024.
struct Im2col {
  const void* data;
  int64_t n, h, w, c;
  int lower_x, lower_y, upper_x, upper_y;
  int step, pixels;
};

// "" when a map can be made, else what is wrong. The limits are the driver's.
inline std::string tensor_map_problem(const Tiled& t) {
  constexpr int64_t kMost = int64_t(1) << 32, kMostBytes = int64_t(1) << 40;
  if (reinterpret_cast<uintptr_t>(t.data) % 16 != 0) return "its data is not at a multiple of 16 bytes";
  for (const int64_t size : t.sizes)
    if (size < 1 || size > kMost) return "its size " + std::to_string(size) + " is out of range";
  for (const int64_t stride : t.strides)
    if (stride < 0 || stride % 8 != 0 || stride * 2 >= kMostBytes)
      return "its stride of " + std::to_string(stride) + " elements is not a multiple of 8 or out of range";
  if (t.rows < 1 || t.rows > 256 || t.planes < 1 || t.planes > 256) return "its box is not 1 to 256 rows and planes";
  return "";
}
inline std::string tensor_map_problem(const Im2col& t) {
  const std::string problem =
      tensor_map_problem(Tiled{t.data, {t.c, t.w, t.h, t.n}, {t.c, t.c * t.w, t.c * t.w * t.h}, 1, 1});
  if (!problem.empty()) return problem;
  for (const int corner : {t.lower_x, t.lower_y, t.upper_x, t.upper_y})
    if (corner < -128 || corner > 127) return "a corner of its bounding box is out of range";
  if (t.w + t.upper_x <= t.lower_x || t.h + t.upper_y <= t.lower_y) return "its bounding box is empty";
  if (t.step < 1 || t.step > 8 || t.pixels < 1 || t.pixels > 1024) return "its step or pixels are out of range";
  return "";
}

}  // namespace doppel
