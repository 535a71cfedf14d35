// Dense layers on the CPU: three matrix products on weights as they lie. Measured against oneDNN's inner product, whose
// weights want a reorder: with few rows a layer is bound by reading its weights, and a reorder reads and writes them
// again.
#include "kernels/dense.h"
#include "kernels/onednn_product.h"
#include "kernels/parallel.h"

namespace doppel::on_cpu {
namespace {

using dnnl::memory;
using onednn::Product;
using Tag = memory::format_tag;

struct Products {
  Product fprop, dgrad, wgrad;
};

const Products& products_of(const Dense& dense) {
  static onednn::Cache<Dense, Products> cache;
  return cache.get(dense, [&] {
    const auto type = onednn::type_of(dense.type);
    const auto f32 = memory::data_type::f32;
    const int64_t n = dense.n, c = dense.c, k = dense.k;
    const memory::desc x({n, c}, type, Tag::ab), y({n, k}, type, Tag::ab), b({1, k}, f32, Tag::ab);
    return Products{Product(x, {{c, k}, type, Tag::ba}, b, y, onednn::user_scratchpad()),
                    Product(y, {{k, c}, type, Tag::ab}, x),
                    Product({{k, n}, type, Tag::ba}, x, {{k, c}, f32, Tag::ab})};
  });
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
  const Products& p = products_of(dense);
  return {p.fprop.scratch(), p.dgrad.scratch(), p.wgrad.scratch()};
}

std::vector<KernelChoice> dense_choices(const Dense&, Pass, Stream) {
  return {{}};
}

void dense_fprop(void* y, const void* x, const void* w, const float* b, const Dense& dense, void* workspace, Stream) {
  products_of(dense).fprop.run(x, w, b, y, workspace);
}

void dense_dgrad(void* dx, const void* dy, const void* w, const Dense& dense, void* workspace, Stream) {
  products_of(dense).dgrad.run(dy, w, nullptr, dx, workspace);
}

void dense_wgrad(float* dw, float* db, const void* x, const void* dy, const Dense& dense, void* workspace, Stream) {
  products_of(dense).wgrad.run(dy, x, nullptr, dw, workspace);
  if (dense.type == DType::bf16)
    column_sums(db, static_cast<const Bf16*>(dy), dense);
  else
    column_sums(db, static_cast<const float*>(dy), dense);
}

}  // namespace doppel::on_cpu
