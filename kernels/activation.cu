// Activations and sums, element by element: bound by memory, so 16 bytes move at a time where the pointers allow it.
#include "kernels/activation.h"

#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;

// ---- kernels --------------------------------------------------------------------------------------------------------

// The formulas of kernels/activation.h, of one or two values.
template <Activation F>
struct Forward {
  float slope;
  __device__ float operator()(float x, float) const { return activate(F, x, slope); }
};
template <Activation F>
struct Backward {
  float slope;
  __device__ float operator()(float dy, float saved) const { return dy * activation_derivative(F, saved, slope); }
};
template <Activation F>
struct AddForward {
  float slope;
  __device__ float operator()(float a, float b) const { return activate(F, a + b, slope); }
};
struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Same {
  __device__ float operator()(float a, float) const { return a; }
};

// out[i] = formula(a[i], b[i]), or of a alone when Inputs is 1; `Width` elements a thread. out may be a or b.
template <int Width, int Inputs, typename Out, typename In, typename Formula>
DOPPEL_GLOBAL((kThreads), map, Out* out, const In* a, const In* b, int64_t count, Formula formula) {
  wait_for_earlier_kernels();
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i + Width <= count) {
    using V = Vector<In, Width>;
    const V va = load_vector<V>(a + i);
    V vb{};
    if constexpr (Inputs == 2) vb = load_vector<V>(b + i);
    Vector<Out, Width> result;
    for (int k = 0; k < Width; ++k) result.v[k] = from_float<Out>(formula(to_float(va.v[k]), to_float(vb.v[k])));
    store_vector(out + i, result);
  } else {
    for (int64_t k = i; k < count; ++k)
      out[k] = from_float<Out>(formula(to_float(a[k]), Inputs == 2 ? to_float(b[k]) : 0.0f));
  }
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <int Inputs, typename Out, typename In, typename Formula>
void launch_map(void* out, const void* a, const void* b, int64_t count, Formula formula, Stream stream) {
  if (count == 0) return;
  // Both sides move whole vectors: the wider of the two types fills 16 bytes.
  constexpr int kWidth = 16 / int(sizeof(In) > sizeof(Out) ? sizeof(In) : sizeof(Out));
  // b is null where there is none.
  const bool aligned =
      is_aligned<Vector<Out, kWidth>>(out) && is_aligned<Vector<In, kWidth>>(a) && is_aligned<Vector<In, kWidth>>(b);
  Out* o = static_cast<Out*>(out);
  const In *p = static_cast<const In*>(a), *q = static_cast<const In*>(b);
  if (aligned)
    DOPPEL_KERNEL(map<kWidth, Inputs, Out, In, Formula>)
        .launch({blocks_for(count, kThreads * kWidth), kThreads}, o, p, q, count, formula, stream);
  else
    DOPPEL_KERNEL(map<1, Inputs, Out, In, Formula>)
        .launch({blocks_for(count, kThreads), kThreads}, o, p, q, count, formula, stream);
}

template <int Inputs, typename Formula>
void launch_typed(void* out, const void* a, const void* b, int64_t count, DType type, Formula formula, Stream stream) {
  if (type == DType::bf16)
    launch_map<Inputs, Bf16, Bf16>(out, a, b, count, formula, stream);
  else
    launch_map<Inputs, float, float>(out, a, b, count, formula, stream);
}

// Runtime values become template arguments once, here.
template <int Inputs, template <Activation> typename Formula>
void launch_activation(void* out, const void* a, const void* b, int64_t count, DType type, Activation f, float slope,
                       Stream stream) {
  const auto with = [&](auto formula) { launch_typed<Inputs>(out, a, b, count, type, formula, stream); };
  switch (f) {
    case Activation::none:
      return with(Formula<Activation::none>{slope});
    case Activation::leaky_relu:
      return with(Formula<Activation::leaky_relu>{slope});
    case Activation::sigmoid:
      return with(Formula<Activation::sigmoid>{slope});
    case Activation::x_cos_x:
      return with(Formula<Activation::x_cos_x>{slope});
  }
}

}  // namespace

void activation_forward(void* y, const void* x, int64_t count, DType type, Activation f, float slope, Stream stream) {
  launch_activation<1, Forward>(y, x, nullptr, count, type, f, slope, stream);
}

void activation_backward(void* dx, const void* dy, const void* saved, int64_t count, DType type, Activation f,
                         float slope, Stream stream) {
  launch_activation<2, Backward>(dx, dy, saved, count, type, f, slope, stream);
}

void add_activation_forward(void* y, const void* a, const void* b, int64_t count, DType type, Activation f, float slope,
                            Stream stream) {
  launch_activation<2, AddForward>(y, a, b, count, type, f, slope, stream);
}

void accumulate(void* y, const void* x, int64_t count, DType type, Stream stream) {
  launch_typed<2>(y, y, x, count, type, Add{}, stream);
}

void cast_to_bf16(Bf16* y, const float* x, int64_t count, Stream stream) {
  launch_map<1, Bf16, float>(y, x, nullptr, count, Same{}, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
