// Shapes. Layout is NHWC everywhere; a vector or matrix uses n and c and leaves h = w = 1.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/dtype.h"

namespace doppel {

struct Shape {
  int n = 1, h = 1, w = 1, c = 1;

  int64_t elements() const { return int64_t(n) * h * w * c; }
  bool operator==(const Shape&) const = default;
};

inline std::string to_string(const Shape& s) {
  if (s.h == 1 && s.w == 1) return "[" + std::to_string(s.n) + "," + std::to_string(s.c) + "]";
  return "[" + std::to_string(s.n) + "," + std::to_string(s.h) + "," + std::to_string(s.w) + "," + std::to_string(s.c) +
         "]";
}

}  // namespace doppel
