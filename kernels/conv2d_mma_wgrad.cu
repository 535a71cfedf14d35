// dw [k, r s c] = dz [k, n p q] times pixels [n p q, r s c], both read across the sum: it runs over pixels, and memory
// over channels. The result is small and the sum long, so the sum is nearly always split. docs/kernels/conv2d.md.
#include "kernels/conv2d_mma_store.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

// ---- kernels --------------------------------------------------------------------------------------------------------

// A tile of part blockIdx.z of a group's sum: out [gridDim.z][k][r s c], and the next group's `stride` behind it.
template <typename T>
DOPPEL_GLOBAL((T::kThreads, T::kBlocks), wgrad, float* out, const Bf16* x, const Bf16* dz, ConvShape v, PixelStep step,
              int64_t stride) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED_DYNAMIC(shared);
  const int columns = v.filter, pixels = v.n * v.p * v.q;
  const BlockPlace<T> place(columns);
  const Steps steps(ceil_div(pixels, kMmaStep), int(blockIdx.z), int(gridDim.z));
  const int begin = steps.begin * kMmaStep, end = steps.end * kMmaStep < pixels ? steps.end * kMmaStep : pixels;
  OutputPixels<T> outputs(dz + group() * v.out_elements(), v, place.m, begin, end);
  InputPixels<T> inputs(x + group() * v.in_elements(), v, step, place.n, begin, end);

  Accumulators<T> acc;
  multiply<T, false, false>(acc, shared, steps.end - steps.begin, [&](unsigned char* stage) {
    outputs.load_next(stage);
    inputs.load_next(stage + T::kBytesA);
  });
  out += group() * stride + int64_t(blockIdx.z) * v.k * columns;
  store_f32(out, acc, place.m, place.n, v.k, columns);
}

// ---- launchers ------------------------------------------------------------------------------------------------------

MmaPlan plan_of(const Conv2d& v) {
  return mma_plan(v, Pass::wgrad);
}

}  // namespace

size_t mma_wgrad_workspace(const Conv2d& conv) {
  const int splits = plan_of(conv).splits;
  return splits > 1 ? size_t(conv.groups) * size_t(splits) * size_t(conv.weights()) * sizeof(float) : 0;
}

void mma_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  require_units(dw, x, dz, conv);
  const MmaPlan plan = plan_of(conv);
  const ConvShape v = shape_of(conv);
  float* const partial = plan.splits > 1 ? static_cast<float*>(workspace) : nullptr;
  const int64_t count = conv.weights();
  with_tile(plan.tile, [&]<typename T>(T) {
    DOPPEL_KERNEL(wgrad<T>).launch(
        {{blocks_of<T>(v.k, count / v.k), unsigned(conv.groups), unsigned(plan.splits)}, T::kThreads, T::kShared},
        partial ? partial : dw, static_cast<const Bf16*>(x), static_cast<const Bf16*>(dz), v, pixel_step(v),
        partial ? plan.splits * count : conv.weight_stride, stream);
  });
  if (partial) add_splits(dw, DType::f32, partial, count, plan.splits, conv.groups, conv.weight_stride, stream);
}

ConvWorkspace mma_workspace(const Conv2d& conv, const Epilogue& epilogue) {
  ConvWorkspace bytes;
  bytes.fprop = mma_fprop_workspace(conv, epilogue);
  bytes.dgrad = mma_dgrad_workspace(conv);
  bytes.wgrad = mma_wgrad_workspace(conv);
  return bytes;
}

}  // namespace doppel::DOPPEL_BACKEND
