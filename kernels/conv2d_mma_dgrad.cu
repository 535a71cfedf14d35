// dx [n h w, c] = pixels of dz [n h w, r s k] times filters [r s k, c]: dz read along the sum, the filters across it.
//
// With stride 2 a pixel of x was seen through every other tap only, in each direction those of one parity. So the
// pixels fall into four phases, each a product of its own with a quarter of the taps (of 5 x 5: 9, 6, 6, 4) and without
// a product by zero. docs/kernels/conv2d.md.
#include "kernels/conv2d_mma_store.h"
#include "kernels/conv2d_phase.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

// A block's tile, for its epilogue. It lies in shared memory during the product, which has no register to spare.
struct Kept {
  Phase y, x;
  int rows;  // of the phase's matrix
  int m, n, part;
};

// ---- kernels --------------------------------------------------------------------------------------------------------

// A tile of one phase of a group's dx; or, if `partial` [groups][splits][n h w][c] is not null, a part of its sum; a
// sum that is not split is one part. blockIdx.z is the phase times the splits plus the part; phases with more taps come
// first.
template <typename T>
DOPPEL_GLOBAL((T::kThreads, T::kBlocks), dgrad, Bf16* dx, float* partial, const Bf16* dz, const Bf16* w, ConvShape v,
              int splits) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED_DYNAMIC(shared);
  DOPPEL_SHARED(Kept, kept, [1]);
  const int phase = int(blockIdx.z) / splits, part = int(blockIdx.z) % splits;
  const Phase down = phase_of(phase / v.stride, v.h, v.r, v.pad_top, v.stride);
  const Phase right = phase_of(phase % v.stride, v.w, v.s, v.pad_left, v.stride);
  const BlockPlace<T> place(v.c);
  const int rows = v.n * down.pixels * right.pixels;
  if (place.m >= rows) return;  // the grid is that of the largest phase
  if (threadIdx.x == 0) kept[0] = {down, right, rows, place.m, place.n, part};

  const PixelRows<T> pixels({dz + group() * v.out_elements(), v.p, v.q, v.k},
                            [&](int row, int& image, int& top, int& left) {
                              const int m = place.m + row, line = m / right.pixels;
                              image = line / down.pixels;
                              top = line % down.pixels + down.out;
                              left = m % right.pixels + right.out;
                              return m < rows;
                            });
  const FilterColumns<T> filters(w + group() * v.weight_stride, v, place.n);
  const Steps steps(down.taps * right.taps * ceil_div(v.k, kMmaStep), part, splits);
  const int halves = v.stride - 1;  // tap r is number r >> halves of its phase
  TapWalk walk(down.tap, right.tap, v.stride, v.s, v.k, steps.begin);

  Accumulators<T> acc;
  multiply<T, true, false>(acc, shared, steps.end - steps.begin, [&](unsigned char* stage) {
    pixels.load(stage, -(walk.r >> halves), -(walk.s >> halves), walk.c);
    filters.load(stage + T::kBytesA, walk.r, walk.s, walk.c);
    walk.next();
  });

  const Kept& k = kept[0];
  const auto index = [&](int m, int channel) {
    const int line = m / k.x.pixels, image = (group() * splits + k.part) * v.n + line / k.y.pixels;
    const int y = line % k.y.pixels * v.stride + k.y.first, x = m % k.x.pixels * v.stride + k.x.first;
    return (int64_t(image * v.h + y) * v.w + x) * v.c + channel;
  };
  if (partial) {
    for_pairs(acc, [&](int row, int column, float v0, float v1) {
      const int m = k.m + row, channel = k.n + column;
      if (m < k.rows && channel < v.c) store_vector(partial + index(m, channel), make_float2(v0, v1));
    });
    return;
  }
  for_units(acc, shared, [&](int row, int column, const uint4& unit) {
    const int m = k.m + row, channel = k.n + column;
    if (m < k.rows && channel < v.c) store_vector(dx + index(m, channel), unit);
  });
}

// ---- launchers ------------------------------------------------------------------------------------------------------

// Pixels of the largest phase.
int64_t phase_pixels(const Conv2d& v) {
  return int64_t(v.n) * ceil_div(v.h, v.stride) * ceil_div(v.w, v.stride);
}

MmaPlan plan_of(const Conv2d& v) {
  return mma_plan(v, Pass::dgrad);
}

}  // namespace

size_t mma_dgrad_workspace(const Conv2d& conv) {
  const int splits = plan_of(conv).splits;
  return splits > 1 ? size_t(conv.groups) * size_t(splits) * size_t(conv.in_elements()) * sizeof(float) : 0;
}

void mma_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream) {
  require_units(dx, dz, w, conv);
  const MmaPlan plan = plan_of(conv);
  const ConvShape v = shape_of(conv);
  float* const partial = plan.splits > 1 ? static_cast<float*>(workspace) : nullptr;
  Bf16* const out = static_cast<Bf16*>(dx);
  with_tile(plan.tile, [&]<typename T>(T) {
    DOPPEL_KERNEL(dgrad<T>).launch(
        {{blocks_of<T>(phase_pixels(conv), v.c), unsigned(conv.groups), unsigned(plan.splits * v.stride * v.stride)},
         T::kThreads,
         T::kShared},
        out, partial, static_cast<const Bf16*>(dz), static_cast<const Bf16*>(w), v, plan.splits, stream);
  });
  if (partial) add_splits(dx, DType::bf16, partial, v.in_elements(), plan.splits, conv.groups, v.in_elements(), stream);
}

}  // namespace doppel::DOPPEL_BACKEND
