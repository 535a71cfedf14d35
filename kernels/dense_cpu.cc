// Dense layers on the CPU: three matrix products on weights as they lie. Measured against oneDNN's inner product, whose
// weights want a reorder: with few rows a layer is bound by reading its weights, and a reorder reads and writes them
// again.
#include "kernels/dense.h"
#include "kernels/parallel.h"
#include "kernels/product_cpu.h"

namespace doppel::on_cpu {
namespace {

ProductShape fprop_product(const Dense& d) {
  return {.rows = d.n,
          .inner = d.c,
          .columns = d.k,
          .type = d.type,
          .out_type = d.type,
          .b_transposed = true,
          .bias = true};
}

ProductShape dgrad_product(const Dense& d) {
  return {.rows = d.n, .inner = d.k, .columns = d.c, .type = d.type, .out_type = d.type};
}

ProductShape wgrad_product(const Dense& d) {
  return {.rows = d.k, .inner = d.n, .columns = d.c, .type = d.type, .out_type = DType::f32, .a_transposed = true};
}

template <typename T>
void column_sums(float* sums, const T* y, const Dense& dense) {
  parallel_for(dense.k, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) sums[k] = 0;
    for (int64_t n = 0; n < dense.n; ++n) {
      const T* row = y + n * dense.k;
#pragma omp simd
      for (int64_t k = begin; k < end; ++k) sums[k] += to_float(row[k]);
    }
  });
}

}  // namespace

DenseWorkspace dense_workspace(const Dense& dense, Stream) {
  return {product_scratch(fprop_product(dense)), product_scratch(dgrad_product(dense)),
          product_scratch(wgrad_product(dense))};
}

std::vector<KernelChoice> dense_choices(const Dense&, Pass, Stream) {
  return {{}};
}

void dense_fprop(void* y, const void* x, const void* w, const float* b, const Dense& dense, void* workspace, Stream) {
  run_product(y, x, w, b, fprop_product(dense), workspace);
}

void dense_dgrad(void* dx, const void* dy, const void* w, const Dense& dense, void* workspace, Stream) {
  run_product(dx, dy, w, nullptr, dgrad_product(dense), workspace);
}

void dense_wgrad(float* dw, float* db, const void* x, const void* dy, const Dense& dense, void* workspace, Stream) {
  run_product(dw, dy, x, nullptr, wgrad_product(dense), workspace);
  if (dense.type == DType::bf16)
    column_sums(db, static_cast<const Bf16*>(dy), dense);
  else
    column_sums(db, static_cast<const float*>(dy), dense);
}

}  // namespace doppel::on_cpu
