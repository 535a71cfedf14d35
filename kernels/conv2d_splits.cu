// Second step of sums that several blocks share: bound by memory. Four neighbours a thread where they fit the pointers,
// else one.
#include "kernels/conv2d_splits.h"

#include "kernels/conv2d_output.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;

// ---- kernels --------------------------------------------------------------------------------------------------------

template <int Width>
__device__ __forceinline__ Vector<float, Width> sum_of_splits(const float* partial, int64_t i, int64_t count,
                                                              int splits) {
  using V = Vector<float, Width>;
  V sum = load_vector<V>(partial + i);
#pragma unroll 4
  for (int split = 1; split < splits; ++split) {
    const V part = load_vector<V>(partial + split * count + i);
#pragma unroll
    for (int j = 0; j < Width; ++j) sum.v[j] += part.v[j];
  }
  return sum;
}

template <int Width>
__device__ __forceinline__ void store_outputs(void* out, int64_t at, const Vector<float, Width>& values, DType type) {
  if constexpr (Width == 4)
    store_output_quad(out, at, values, type);
  else
    store_output(out, at, values.v[0], type);
}

template <int Width>
DOPPEL_GLOBAL((kThreads), add_kernel, void* out, DType type, const float* partial, int64_t count, int splits,
              int64_t stride) {
  wait_for_earlier_kernels();
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width, group = blockIdx.y;
  partial += group * splits * count;
  if (i < count) store_outputs(out, group * stride + i, sum_of_splits<Width>(partial, i, count, splits), type);
}

template <int Width>
DOPPEL_GLOBAL((kThreads), finish_kernel, void* y, void* saved, const float* partial, const float* b, Conv2d conv,
              Epilogue epilogue, int splits) {
  wait_for_earlier_kernels();
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width, count = conv.out_pixels() * conv.k;
  const int64_t group = blockIdx.y;
  if (i >= count) return;
  partial += group * splits * count;
  b += group * conv.bias_stride;
  const int k = int(i % conv.k), pixel = int(i / conv.k);
  Vector<float, Width> z = sum_of_splits<Width>(partial, i, count, splits);
#pragma unroll
  for (int j = 0; j < Width; ++j) z.v[j] += b[k + j];
  const int64_t at =
      group * count + output_offset(conv, epilogue.shuffle, 0, pixel / conv.out_w(), pixel % conv.out_w(), k);
  if (saved) store_outputs(saved, at, z, conv.out_type);
#pragma unroll
  for (int j = 0; j < Width; ++j) z.v[j] = activate(epilogue.activation, z.v[j], epilogue.slope);
  store_outputs(y, at, z, conv.out_type);
}

template <int Width>
Geometry geometry(int64_t count, int groups) {
  return {dim3(blocks_for(count, kThreads * Width), unsigned(groups)), kThreads};
}

// Whether quads of `type` may be stored at `out`.
bool takes_quads(const void* out, DType type) {
  return type == DType::bf16 ? is_aligned<Vector<Bf16, 4>>(out) : is_aligned<Vector<float, 4>>(out);
}

}  // namespace

// ---- launchers ------------------------------------------------------------------------------------------------------

void add_splits(void* out, DType type, const float* partial, int64_t count, int splits, int groups, int64_t stride,
                Stream stream) {
  if (count % 4 == 0 && stride % 4 == 0 && takes_quads(out, type))
    DOPPEL_KERNEL(add_kernel<4>).launch(geometry<4>(count, groups), out, type, partial, count, splits, stride, stream);
  else
    DOPPEL_KERNEL(add_kernel<1>).launch(geometry<1>(count, groups), out, type, partial, count, splits, stride, stream);
}

void finish_splits(void* y, void* saved, const float* partial, const float* b, const Conv2d& conv,
                   const Epilogue& epilogue, int splits, Stream stream) {
  const int64_t count = conv.out_pixels() * conv.k;
  if (output_vector(conv, epilogue.shuffle) == 4 && takes_quads(y, conv.out_type) && takes_quads(saved, conv.out_type))
    DOPPEL_KERNEL(finish_kernel<4>)
        .launch(geometry<4>(count, conv.groups), y, saved, partial, b, conv, epilogue, splits, stream);
  else
    DOPPEL_KERNEL(finish_kernel<1>)
        .launch(geometry<1>(count, conv.groups), y, saved, partial, b, conv, epilogue, splits, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
