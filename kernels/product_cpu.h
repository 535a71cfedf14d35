// A matrix product on the CPU, on operands as they lie:
//
//   out[i, j] = f(bias[j] + sum over l of a[i, l] b[l, j])
//
// by oneDNN in a build that has it (DOPPEL_ONEDNN), else by plain loops: right and slow, for machines with a card and
// little else. Private to kernels/*_cpu.cc.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/conv2d.h"

namespace doppel {

struct ProductShape {
  int64_t rows, inner, columns;
  DType type;                                       // a, b
  DType out_type;                                   // sums are fp32
  bool a_transposed = false, b_transposed = false;  // memory holds a as [inner, rows], b as [columns, inner]
  bool bias = false;                                // fp32 [columns]
  Epilogue epilogue = {};                           // f; no shuffle
  bool operator==(const ProductShape&) const = default;
};

namespace onednn {

size_t product_scratch(const ProductShape& shape);
// `bias` is not read unless the shape has one. `scratch`: as many bytes as said above, 64-byte aligned.
void product(void* out, const void* a, const void* b, const float* bias, const ProductShape& shape, void* scratch);

}  // namespace onednn

namespace plain {

// The same without scratch. Sums run over l from first to last: the same bits on every thread count.
void product(void* out, const void* a, const void* b, const float* bias, const ProductShape& shape);

}  // namespace plain

#if defined(DOPPEL_ONEDNN)
inline size_t product_scratch(const ProductShape& shape) {
  return onednn::product_scratch(shape);
}
inline void run_product(void* out, const void* a, const void* b, const float* bias, const ProductShape& shape,
                        void* scratch) {
  onednn::product(out, a, b, bias, shape, scratch);
}
#else
inline size_t product_scratch(const ProductShape&) {
  return 0;
}
inline void run_product(void* out, const void* a, const void* b, const float* bias, const ProductShape& shape, void*) {
  plain::product(out, a, b, bias, shape);
}
#endif

}  // namespace doppel
