// Convolution on the CPU: the products go one of two ways (kernels/conv2d_ways.h), and one vectorised pass does the
// rest.
#include <algorithm>

#include "kernels/carver.h"
#include "kernels/conv2d_ways.h"
#include "kernels/parallel.h"
#include "kernels/pixel_shuffle.h"

namespace doppel::on_cpu {
namespace {

// ---- which way ------------------------------------------------------------------------------------------------------

#if defined(DOPPEL_ONEDNN)

// From times of both ways on the layers of both architectures (two cores with AMX, bf16): at fprop and dgrad the matrix
// products win from 4x4 outputs down, at wgrad from 16x16 down and for the 3-channel input. A fixed rule, not a timing
// at start-up, so that a run can be repeated bit for bit; bench_step --profile shows what each layer takes.
constexpr int64_t kSmallPicture = 4 * 4;
constexpr int64_t kSmallPictureWgrad = 16 * 16;
constexpr int kFewChannels = 4;

int64_t picture(const Conv2d& c) {
  return int64_t(c.out_h()) * c.out_w();
}

bool by_product(const Conv2d& c) {
  return picture(c) <= kSmallPicture;
}

bool wgrad_by_product(const Conv2d& c) {
  return picture(c) <= kSmallPictureWgrad || (c.c <= kFewChannels && c.stride == 2);
}

#else

// Without oneDNN there is one way.
namespace direct = ::doppel::product;

bool by_product(const Conv2d&) {
  return true;
}

bool wgrad_by_product(const Conv2d&) {
  return true;
}

#endif

size_t shuffle_bytes(const Conv2d& c, const Epilogue& e) {
  return e.shuffle ? size_t(c.out_pixels()) * size_t(c.k) * size_of(c.out_type) : 0;
}

// Row ranges of the bias gradient's partial sums: fixed, so that the order of the sum is.
constexpr int kColumnParts = 16;

// ---- backward epilogue ----------------------------------------------------------------------------------------------

// One run of `count` channels: dz = dy f'(saved), and the sum of dz.
template <typename TOut, typename T>
void epilogue_run(T* dz, float* sum, const TOut* dy, const TOut* saved, int count, const Epilogue& e) {
  if (e.activation == Activation::leaky_relu) {
    const float slope = e.slope;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float v = to_float(dy[i]) * (to_float(saved[i]) > 0 ? 1.f : slope);
      dz[i] = from_float<T>(v);
      sum[i] += v;
    }
  } else if (e.activation == Activation::sigmoid) {
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float s = to_float(saved[i]);
      const float v = to_float(dy[i]) * s * (1 - s);
      dz[i] = from_float<T>(v);
      sum[i] += v;
    }
  } else if (e.activation == Activation::x_cos_x) {
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float v = to_float(dy[i]) * activation_derivative(Activation::x_cos_x, to_float(saved[i]), 0);
      dz[i] = from_float<T>(v);
      sum[i] += v;
    }
  } else {
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float v = to_float(dy[i]);
      dz[i] = from_float<T>(v);
      sum[i] += v;
    }
  }
}

template <typename TOut, typename T>
void backward_epilogue(T* dz, float* db, const TOut* dy, const TOut* saved, const Conv2d& c, const Epilogue& e,
                       float* partial) {
  const int p = c.out_h(), q = c.out_w(), k = c.k;
  const int64_t rows = int64_t(c.n) * p;
  parallel_for(kColumnParts, 1, [&](int64_t part0, int64_t part1) {
    for (int64_t part = part0; part < part1; ++part) {
      float* sum = partial + part * k;
      std::fill(sum, sum + k, 0.f);
      for (int64_t row = rows * part / kColumnParts; row < rows * (part + 1) / kColumnParts; ++row) {
        if (!e.shuffle) {
          for (int64_t at = row * q * k; at < (row + 1) * q * k; at += k)
            epilogue_run(dz + at, sum, dy + at, saved ? saved + at : nullptr, k, e);
          continue;
        }
        // Row `row` of z holds rows 2 row and 2 row + 1 of y, each pixel's channels in two runs of k/2.
        const int half = k / 2;
        for (int w = 0; w < q; ++w)
          for (int i = 0; i < 2; ++i) {
            const int64_t large = ((2 * row + i) * q + w) * half;
            epilogue_run(dz + (row * q + w) * k + i * half, sum + i * half, dy + large, saved ? saved + large : nullptr,
                         half, e);
          }
      }
    }
  });
  std::fill(db, db + k, 0.f);
  for (int part = 0; part < kColumnParts; ++part)
    for (int i = 0; i < k; ++i) db[i] += partial[int64_t(part) * k + i];
}

}  // namespace

// ---- launchers ------------------------------------------------------------------------------------------------------

ConvWorkspace conv2d_workspace(const Conv2d& conv, const Epilogue& epilogue, Stream) {
  check(conv, epilogue);
  Carver carver(nullptr);
  carver.take(shuffle_bytes(conv, epilogue));
  ConvWorkspace bytes;
  bytes.fprop = carver.used() + (by_product(conv) ? product::fprop_workspace : direct::fprop_workspace)(conv, epilogue);
  bytes.backward_epilogue = size_t(kColumnParts) * size_t(conv.k) * sizeof(float);
  bytes.dgrad = (by_product(conv) ? product::dgrad_workspace : direct::dgrad_workspace)(conv);
  bytes.wgrad = (wgrad_by_product(conv) ? product::wgrad_workspace : direct::wgrad_workspace)(conv);
  return bytes;
}

std::vector<KernelChoice> conv2d_choices(const Conv2d&, Pass, Stream) {
  return {{}};
}

void conv2d_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                  void* workspace, Stream stream, void*) {
  Carver carver(workspace);
  void* z = epilogue.shuffle ? carver.take(shuffle_bytes(conv, epilogue)) : y;
  void* rest = static_cast<char*>(workspace) + carver.used();
  (by_product(conv) ? product::fprop : direct::fprop)(z, x, w, b, conv, epilogue, rest);
  if (epilogue.shuffle)
    pixel_shuffle_forward(y, z, {conv.n, conv.out_h(), conv.out_w(), conv.k / 4, conv.out_type}, stream);
}

void conv2d_backward_epilogue(void* dz, float* db, const void* dy, const void* saved, const Conv2d& conv,
                              const Epilogue& epilogue, void* workspace, Stream) {
  float* partial = static_cast<float*>(workspace);
  const auto run = [&](auto out_type, auto type) {
    using TOut = decltype(out_type);
    using T = decltype(type);
    backward_epilogue<TOut, T>(static_cast<T*>(dz), db, static_cast<const TOut*>(dy), static_cast<const TOut*>(saved),
                               conv, epilogue, partial);
  };
  if (conv.out_type == DType::f32)
    conv.type == DType::f32 ? run(float{}, float{}) : run(float{}, Bf16{});
  else
    conv.type == DType::f32 ? run(Bf16{}, float{}) : run(Bf16{}, Bf16{});
}

void conv2d_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream) {
  (by_product(conv) ? product::dgrad : direct::dgrad)(dx, dz, w, conv, workspace);
}

void conv2d_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream) {
  (wgrad_by_product(conv) ? product::wgrad : direct::wgrad)(dw, x, dz, conv, workspace);
}

}  // namespace doppel::on_cpu
