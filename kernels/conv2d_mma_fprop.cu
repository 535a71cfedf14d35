// z [n p q, k] = pixels [n p q, r s c] times filters [r s c, k], both read along the sum. docs/kernels/conv2d.md.
#include "kernels/conv2d_mma_store.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

// acc = leaky ReLU(acc + b), of the channels from n on. Slope 1 is no activation.
template <typename T>
__device__ __forceinline__ void finish(Accumulators<T>& acc, const float* b, float slope, int n, int k) {
  const int column = n + warp_column<T>() + lane() % 4 * 2;
#pragma unroll
  for (int j = 0; j < Accumulators<T>::kColumns; ++j) {
    const bool inside = column + j * 8 < k;
    const float bias[2] = {inside ? b[column + j * 8] : 0.0f, inside ? b[column + j * 8 + 1] : 0.0f};
#pragma unroll
    for (int i = 0; i < Accumulators<T>::kRows; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        acc.v[i][j][e] = activate(Activation::leaky_relu, acc.v[i][j][e] + bias[e % 2], slope);
  }
}

// ---- kernels --------------------------------------------------------------------------------------------------------

// A tile of a group's z. Either y = shuffle(leaky ReLU(z + b)), bf16; or, if `partial` [groups][gridDim.z][n p q][k] is
// not null, part blockIdx.z of the sum.
template <typename T>
DOPPEL_GLOBAL((T::kThreads, T::kBlocks), fprop, Bf16* y, float* partial, const Bf16* x, const Bf16* w, const float* b,
              ConvShape v, float slope, bool shuffle) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED_DYNAMIC(shared);
  const int pixels = v.n * v.p * v.q;
  const BlockPlace<T> place(v.k);
  const PixelRows<T> rows({x + group() * v.in_elements(), v.h, v.w, v.c},
                          [&](int row, int& image, int& top, int& left) {
                            const int m = place.m + row, line = m / v.q;
                            image = line / v.p;
                            top = line % v.p * v.stride - v.pad_top;
                            left = m % v.q * v.stride - v.pad_left;
                            return m < pixels;
                          });
  const FilterRows<T> filters(w + group() * v.weight_stride, v, place.n);
  const Steps steps(v.r * v.s * ceil_div(v.c, kMmaStep), int(blockIdx.z), int(gridDim.z));
  TapWalk walk(0, 0, 1, v.s, v.c, steps.begin);

  Accumulators<T> acc;
  multiply<T, true, true>(acc, shared, steps.end - steps.begin, [&](unsigned char* stage) {
    rows.load(stage, walk.r, walk.s, walk.c);
    filters.load(stage + T::kBytesA, walk.r, walk.s, walk.c);
    walk.next();
  });

  if (partial) {
    const int64_t part = group() * int(gridDim.z) + int(blockIdx.z);
    store_f32(partial + part * v.out_elements(), acc, place.m, place.n, pixels, v.k);
    return;
  }
  finish(acc, b + group() * v.bias_stride, slope, place.n, v.k);
  y += group() * v.out_elements();
  const OutputPlace to{shuffle, v.q, v.k};
  for_units(acc, shared, [&](int row, int column, const uint4& unit) {
    const int m = place.m + row, channel = place.n + column;
    if (m < pixels && channel < v.k) to.store(y, m, channel, unit);
  });
}

// ---- launchers ------------------------------------------------------------------------------------------------------

MmaPlan plan_of(const Conv2d& v) {
  return mma_plan(v, Pass::fprop);
}

// Whether z goes through memory: when its sum is split, for the epilogues of last layers, which are rarely wide enough
// to be computed here, and where two tensors are stored (x cos x).
bool by_partials(const Conv2d& v, const Epilogue& e) {
  return plan_of(v).splits > 1 || e.activation == Activation::sigmoid || saves_input(e.activation) ||
         v.out_type == DType::f32;
}

}  // namespace

size_t mma_fprop_workspace(const Conv2d& conv, const Epilogue& epilogue) {
  if (!by_partials(conv, epilogue)) return 0;
  return size_t(conv.groups) * size_t(plan_of(conv).splits) * size_t(conv.out_elements()) * sizeof(float);
}

void mma_fprop(void* y, void* saved, const void* x, const void* w, const float* b, const Conv2d& conv,
               const Epilogue& epilogue, void* workspace, Stream stream) {
  require_units(y, x, w, conv);
  const MmaPlan plan = plan_of(conv);
  const ConvShape v = shape_of(conv);
  float* const partial = by_partials(conv, epilogue) ? static_cast<float*>(workspace) : nullptr;
  const float slope = epilogue.activation == Activation::leaky_relu ? epilogue.slope : 1.0f;
  const int64_t pixels = conv.out_pixels();
  with_tile(plan.tile, [&]<typename T>(T) {
    DOPPEL_KERNEL(fprop<T>).launch(
        {{blocks_of<T>(pixels, v.k), unsigned(conv.groups), unsigned(plan.splits)}, T::kThreads, T::kShared},
        static_cast<Bf16*>(y), partial, static_cast<const Bf16*>(x), static_cast<const Bf16*>(w), b, v, slope,
        epilogue.shuffle, stream);
  });
  if (partial) finish_splits(y, saved, partial, b, conv, epilogue, plan.splits, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
