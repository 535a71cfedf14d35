// Convolution on the CPU by matrix products over gathered rows.
//
//   columns[(n, p, q), (r, s, c)] = x[n, p stride + r - pad_top, q stride + s - pad_left, c]
//   z = columns w^T + b;   dw = dz^T columns;   dcolumns = dz w, summed back into dx
//
// w [K, R S C] and dw are used as they lie: nothing is reordered.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/conv2d_ways.h"
#include "kernels/onednn_product.h"
#include "kernels/parallel.h"

namespace doppel::product {
namespace {

using dnnl::memory;
using onednn::Product;
using Tag = memory::format_tag;

int64_t taps(const Conv2d& c) {
  return int64_t(c.r) * c.s * c.c;
}

// ---- the three products ---------------------------------------------------------------------------------------------

struct FpropKey {
  Conv2d conv;
  Epilogue epilogue;
  bool operator==(const FpropKey&) const = default;
};

const Product& fprop_of(const Conv2d& c, Epilogue epilogue) {
  static onednn::Cache<FpropKey, Product> cache;
  epilogue.shuffle = false;
  return cache.get({c, epilogue}, [&] {
    const auto type = onednn::type_of(c.type);
    const memory::desc columns({c.out_pixels(), taps(c)}, type, Tag::ab), w({taps(c), c.k}, type, Tag::ba);
    const memory::desc b({1, c.k}, memory::data_type::f32, Tag::ab);
    const memory::desc z({c.out_pixels(), c.k}, onednn::type_of(c.out_type), Tag::ab);
    return Product(columns, w, b, z, onednn::with_activation(epilogue));
  });
}

const Product& dgrad_of(const Conv2d& c) {
  static onednn::Cache<Conv2d, Product> cache;
  return cache.get(c, [&] {
    const auto type = onednn::type_of(c.type);
    const memory::desc dz({c.out_pixels(), c.k}, type, Tag::ab), w({c.k, taps(c)}, type, Tag::ab);
    const memory::desc columns({c.out_pixels(), taps(c)}, memory::data_type::f32, Tag::ab);
    return Product(dz, w, columns);
  });
}

const Product& wgrad_of(const Conv2d& c) {
  static onednn::Cache<Conv2d, Product> cache;
  return cache.get(c, [&] {
    const auto type = onednn::type_of(c.type);
    const memory::desc dz({c.k, c.out_pixels()}, type, Tag::ba), columns({c.out_pixels(), taps(c)}, type, Tag::ab);
    const memory::desc dw({c.k, taps(c)}, memory::data_type::f32, Tag::ab);
    return Product(dz, columns, dw);
  });
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
Pieces carve(const Product& product, const Conv2d& c, DType columns, void* base) {
  onednn::Carver carver(base);
  Pieces p;
  p.columns = carver.take(size_t(c.out_pixels() * taps(c)) * size_of(columns));
  p.scratch = carver.take(product.scratch());
  p.bytes = carver.used();
  return p;
}

}  // namespace

size_t fprop_workspace(const Conv2d& conv, const Epilogue& epilogue) {
  return carve(fprop_of(conv, epilogue), conv, conv.type, nullptr).bytes;
}

size_t dgrad_workspace(const Conv2d& conv) {
  return carve(dgrad_of(conv), conv, DType::f32, nullptr).bytes;
}

size_t wgrad_workspace(const Conv2d& conv) {
  return carve(wgrad_of(conv), conv, conv.type, nullptr).bytes;
}

void fprop(void* z, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
           void* workspace) {
  const Product& product = fprop_of(conv, epilogue);
  const Pieces p = carve(product, conv, conv.type, workspace);
  gather(p.columns, x, conv);
  product.run(p.columns, w, b, z, p.scratch);
}

void dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace) {
  const Product& product = dgrad_of(conv);
  const Pieces p = carve(product, conv, DType::f32, workspace);
  product.run(dz, w, nullptr, p.columns, p.scratch);
  const auto* columns = static_cast<const float*>(p.columns);
  if (conv.type == DType::bf16)
    sum_back(static_cast<Bf16*>(dx), columns, conv);
  else
    sum_back(static_cast<float*>(dx), columns, conv);
}

void wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace) {
  const Product& product = wgrad_of(conv);
  const Pieces p = carve(product, conv, conv.type, workspace);
  gather(p.columns, x, conv);
  product.run(dz, p.columns, nullptr, dw, p.scratch);
}

}  // namespace doppel::product
