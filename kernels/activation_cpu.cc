#include "kernels/activation.h"
#include "kernels/parallel.h"

namespace doppel::on_cpu {
namespace {

constexpr int64_t kGrain = 1 << 14;

// Calls body(T{}) with the element type.
template <typename Body>
void with_type(DType type, Body body) {
  type == DType::bf16 ? body(Bf16{}) : body(float{});
}

// out[i] = formula(i) for all i, on all cores.
template <typename T, typename Formula>
void map(void* out, int64_t count, Formula formula) {
  T* o = static_cast<T*>(out);
  parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) o[i] = from_float<T>(formula(i));
  });
}

// The activation is a constant of each loop, or the loop would not vectorise.
template <typename Body>
void with_activation(Activation f, Body body) {
  switch (f) {
    case Activation::none:
      return body(std::integral_constant<Activation, Activation::none>{});
    case Activation::leaky_relu:
      return body(std::integral_constant<Activation, Activation::leaky_relu>{});
    case Activation::sigmoid:
      return body(std::integral_constant<Activation, Activation::sigmoid>{});
    case Activation::x_cos_x:
      return body(std::integral_constant<Activation, Activation::x_cos_x>{});
  }
}

}  // namespace

void activation_forward(void* y, const void* x, int64_t count, DType type, Activation f, float slope, Stream) {
  with_type(type, [&](auto t) {
    using T = decltype(t);
    const T* in = static_cast<const T*>(x);
    with_activation(f, [&](auto kind) {
      map<T>(y, count, [=](int64_t i) { return activate(decltype(kind)::value, to_float(in[i]), slope); });
    });
  });
}

void activation_backward(void* dx, const void* dy, const void* saved, int64_t count, DType type, Activation f,
                         float slope, Stream) {
  with_type(type, [&](auto t) {
    using T = decltype(t);
    const T* g = static_cast<const T*>(dy);
    const T* from = static_cast<const T*>(saved);
    with_activation(f, [&](auto kind) {
      map<T>(dx, count, [=](int64_t i) {
        return to_float(g[i]) * activation_derivative(decltype(kind)::value, to_float(from[i]), slope);
      });
    });
  });
}

void add_activation_forward(void* y, const void* a, const void* b, int64_t count, DType type, Activation f, float slope,
                            Stream) {
  with_type(type, [&](auto t) {
    using T = decltype(t);
    const T* p = static_cast<const T*>(a);
    const T* q = static_cast<const T*>(b);
    with_activation(f, [&](auto kind) {
      map<T>(y, count,
             [=](int64_t i) { return activate(decltype(kind)::value, to_float(p[i]) + to_float(q[i]), slope); });
    });
  });
}

void accumulate(void* y, const void* x, int64_t count, DType type, Stream) {
  with_type(type, [&](auto t) {
    using T = decltype(t);
    T* sum = static_cast<T*>(y);
    const T* in = static_cast<const T*>(x);
    map<T>(y, count, [=](int64_t i) { return to_float(sum[i]) + to_float(in[i]); });
  });
}

void cast_to_bf16(Bf16* y, const float* x, int64_t count, Stream) {
  map<Bf16>(y, count, [=](int64_t i) { return x[i]; });
}

}  // namespace doppel::on_cpu
