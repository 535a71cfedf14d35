// Matrix products by plain loops (kernels/product_cpu.h).
#include <algorithm>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/product_cpu.h"

namespace doppel::plain {
namespace {

// One tile of the output is summed at a time, one run of l after the other, so that the operands' part that it needs,
// as floats (64 x 256 twice), stays in a core's own cache.
constexpr int kTile = 64, kRun = 256;

template <typename T, typename TOut>
void tile(TOut* out, const T* a, const T* b, const float* bias, const ProductShape& s, int64_t row, int64_t column,
          std::vector<float>& left, std::vector<float>& right) {
  const int64_t a_row = s.a_transposed ? 1 : s.inner, a_inner = s.a_transposed ? s.rows : 1;
  const int64_t b_inner = s.b_transposed ? 1 : s.columns, b_column = s.b_transposed ? s.inner : 1;
  const int rows = int(std::min<int64_t>(kTile, s.rows - row)),
            columns = int(std::min<int64_t>(kTile, s.columns - column));
  float sums[kTile][kTile] = {};
  for (int64_t from = 0; from < s.inner; from += kRun) {
    const int run = int(std::min<int64_t>(kRun, s.inner - from));
    for (int i = 0; i < rows; ++i)
      for (int l = 0; l < run; ++l) left[size_t(i * kRun + l)] = to_float(a[(row + i) * a_row + (from + l) * a_inner]);
    for (int j = 0; j < columns; ++j)
      for (int l = 0; l < run; ++l)
        right[size_t(l * kTile + j)] = to_float(b[(from + l) * b_inner + (column + j) * b_column]);
    for (int i = 0; i < rows; ++i) {
      float* sum = sums[i];
      for (int l = 0; l < run; ++l) {
        const float x = left[size_t(i * kRun + l)];
        const float* y = &right[size_t(l * kTile)];
#pragma omp simd
        for (int j = 0; j < kTile; ++j) sum[j] += x * y[j];
      }
    }
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) {
      const float z = sums[i][j] + (s.bias ? bias[column + j] : 0);
      out[(row + i) * s.columns + column + j] = from_float<TOut>(activate(s.epilogue.activation, z, s.epilogue.slope));
    }
}

template <typename T, typename TOut>
void run(void* out, const void* a, const void* b, const float* bias, const ProductShape& s) {
  const int64_t down = (s.rows + kTile - 1) / kTile, across = (s.columns + kTile - 1) / kTile;
  parallel_for(down * across, 1, [&](int64_t begin, int64_t end) {
    // Columns beyond the last are summed with what is there and never stored.
    std::vector<float> left(kTile * kRun), right(kRun * kTile);
    for (int64_t t = begin; t < end; ++t)
      tile(static_cast<TOut*>(out), static_cast<const T*>(a), static_cast<const T*>(b), bias, s, t / across * kTile,
           t % across * kTile, left, right);
  });
}

}  // namespace

void product(void* out, const void* a, const void* b, const float* bias, const ProductShape& shape) {
  if (shape.type == DType::f32)
    shape.out_type == DType::f32 ? run<float, float>(out, a, b, bias, shape) : run<float, Bf16>(out, a, b, bias, shape);
  else
    shape.out_type == DType::f32 ? run<Bf16, float>(out, a, b, bias, shape) : run<Bf16, Bf16>(out, a, b, bias, shape);
}

}  // namespace doppel::plain
