// Convolution on the CPU by matrix products over gathered rows.
//
//   columns[(n, p, q), (r, s, c)] = x[n, p stride + r - pad_top, q stride + s - pad_left, c]
//   z = columns w^T + b;   dw = dz^T columns;   dcolumns = dz w, summed back into dx
//
// w [K, R S C] and dw are used as they lie: nothing is reordered.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/carver.h"
#include "kernels/conv2d_ways.h"
#include "kernels/parallel.h"
#include "kernels/product_cpu.h"

namespace doppel::product {
namespace {

int64_t taps(const Conv2d& c) {
  return int64_t(c.r) * c.s * c.c;
}

// ---- the three products ---------------------------------------------------------------------------------------------

ProductShape fprop_product(const Conv2d& c, Epilogue epilogue) {
  epilogue.shuffle = false;
  return {.rows = c.out_pixels(),
          .inner = taps(c),
          .columns = c.k,
          .type = c.type,
          .out_type = c.out_type,
          .b_transposed = true,
          .bias = true,
          .epilogue = epilogue};
}

ProductShape dgrad_product(const Conv2d& c) {
  return {.rows = c.out_pixels(), .inner = c.k, .columns = taps(c), .type = c.type, .out_type = DType::f32};
}

ProductShape wgrad_product(const Conv2d& c) {
  return {.rows = c.k,
          .inner = c.out_pixels(),
          .columns = taps(c),
          .type = c.type,
          .out_type = DType::f32,
          .a_transposed = true};
}

// ---- gathering and its transpose ------------------------------------------------------------------------------------

// One row of taps (fixed r) is S C consecutive elements of x wherever it lies inside the picture: copied in one piece.
void gather(void* columns, const void* x, const Conv2d& c) {
  const int p_count = c.out_h(), q_count = c.out_w();
  const size_t element = size_of(c.type), pixel = element * size_t(c.c), tap_row = pixel * size_t(c.s);
  parallel_for(int64_t(c.n) * p_count, 4, [&](int64_t begin, int64_t end) {
    char* out = static_cast<char*>(columns) + size_t(begin) * q_count * tap_row * size_t(c.r);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / p_count;
      const int y0 = int(row % p_count) * c.stride - c.pad_top;
      const char* picture = static_cast<const char*>(x) + size_t(n) * c.h * c.w * pixel;
      for (int q = 0; q < q_count; ++q) {
        const int x0 = q * c.stride - c.pad_left;
        const int first = std::clamp(-x0, 0, c.s), last = std::clamp(c.w - x0, first, c.s);
        for (int r = 0; r < c.r; ++r, out += tap_row) {
          const int y = y0 + r;
          if (y < 0 || y >= c.h) {
            std::memset(out, 0, tap_row);
            continue;
          }
          std::memset(out, 0, size_t(first) * pixel);
          std::memcpy(out + size_t(first) * pixel, picture + (int64_t(y) * c.w + x0 + first) * int64_t(pixel),
                      size_t(last - first) * pixel);
          std::memset(out + size_t(last) * pixel, 0, size_t(c.s - last) * pixel);
        }
      }
    }
  });
}

// dx[n, y, x] = sum over the taps (r, s) that read it, in the order of r and s.
template <typename T>
void sum_back(T* dx, const float* columns, const Conv2d& c) {
  const int p_count = c.out_h(), q_count = c.out_w();
  parallel_for(int64_t(c.n) * c.h, 2, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(size_t(c.c));
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / c.h;
      const int y = int(row % c.h);
      for (int x = 0; x < c.w; ++x) {
        std::fill(sum.begin(), sum.end(), 0.f);
        for (int r = 0; r < c.r; ++r) {
          const int top = y + c.pad_top - r;
          if (top < 0 || top % c.stride != 0 || top / c.stride >= p_count) continue;
          for (int s = 0; s < c.s; ++s) {
            const int left = x + c.pad_left - s;
            if (left < 0 || left % c.stride != 0 || left / c.stride >= q_count) continue;
            const int64_t pixel = (n * p_count + top / c.stride) * q_count + left / c.stride;
            const float* in = columns + (pixel * c.r * c.s + r * c.s + s) * c.c;
            float* to = sum.data();
#pragma omp simd
            for (int i = 0; i < c.c; ++i) to[i] += in[i];
          }
        }
        T* out = dx + (row * c.w + x) * c.c;
#pragma omp simd
        for (int i = 0; i < c.c; ++i) out[i] = from_float<T>(sum[size_t(i)]);
      }
    }
  });
}

struct Pieces {
  void *columns, *scratch;
  size_t bytes;
};

// The same function counts and carves.
Pieces carve(const ProductShape& product, const Conv2d& c, DType columns, void* base) {
  Carver carver(base);
  Pieces p;
  p.columns = carver.take(size_t(c.out_pixels() * taps(c)) * size_of(columns));
  p.scratch = carver.take(product_scratch(product));
  p.bytes = carver.used();
  return p;
}

}  // namespace

size_t fprop_workspace(const Conv2d& conv, const Epilogue& epilogue) {
  return carve(fprop_product(conv, epilogue), conv, conv.type, nullptr).bytes;
}

size_t dgrad_workspace(const Conv2d& conv) {
  return carve(dgrad_product(conv), conv, DType::f32, nullptr).bytes;
}

size_t wgrad_workspace(const Conv2d& conv) {
  return carve(wgrad_product(conv), conv, conv.type, nullptr).bytes;
}

void fprop(void* z, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
           void* workspace) {
  const ProductShape product = fprop_product(conv, epilogue);
  const Pieces p = carve(product, conv, conv.type, workspace);
  gather(p.columns, x, conv);
  run_product(z, p.columns, w, b, product, p.scratch);
}

void dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace) {
  const ProductShape product = dgrad_product(conv);
  const Pieces p = carve(product, conv, DType::f32, workspace);
  run_product(p.columns, dz, w, nullptr, product, p.scratch);
  const auto* columns = static_cast<const float*>(p.columns);
  if (conv.type == DType::bf16)
    sum_back(static_cast<Bf16*>(dx), columns, conv);
  else
    sum_back(static_cast<float*>(dx), columns, conv);
}

void wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace) {
  const ProductShape product = wgrad_product(conv);
  const Pieces p = carve(product, conv, conv.type, workspace);
  gather(p.columns, x, conv);
  run_product(dw, dz, p.columns, nullptr, product, p.scratch);
}

}  // namespace doppel::product
