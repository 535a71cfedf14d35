// How far results are from those that they should be.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/dtype.h"

namespace doppel {

// |a - b| / |b| of two vectors [count] of fp32 or bf16, in double: 0 when they are equal, zeros too, infinity when b
// alone is all zeros, NaN when either holds one.
template <typename T>
double relative_distance(const T* a, const T* b, size_t count) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < count; ++i) {
    const double wanted = double(to_float(b[i])), d = double(to_float(a[i])) - wanted;
    difference += d * d;
    size += wanted * wanted;
  }
  return difference == 0 ? 0 : std::sqrt(difference / size);
}

// Both of one length.
template <typename T>
double relative_distance(const std::vector<T>& a, const std::vector<T>& b) {
  return relative_distance(a.data(), b.data(), b.size());
}

}  // namespace doppel
