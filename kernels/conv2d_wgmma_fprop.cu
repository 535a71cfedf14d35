// z [n p q, k] = pixels [n p q, r s c] times filters [r s c, k], both read along the sum. docs/kernels/conv2d_wgmma.md.
#include "kernels/conv2d_mma_store.h"
#include "kernels/conv2d_wgmma.h"
#include "kernels/conv2d_wgmma_tile.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

// Tile (or pair of tiles) number `tile`: filters fastest, so that blocks that run together share pixels, then parts of
// the sum, and groups slowest.
struct Job {
  int m, n;
  SumPart sum;
  Steps steps;
  template <typename T>
  static __device__ __forceinline__ Job of(int tile, const ConvShape& v, int splits) {
    const int across = ceil_div(v.k, T::kN), down = ceil_div(v.n * v.p * v.q, T::kRows);
    const SumPart sum(tile / across / down, splits);
    return {wgmma_first_row<T>(tile / across % down), tile % across * T::kN, sum,
            Steps(v.r * v.s * ceil_div(v.c, kWgmmaStep), sum.part, splits)};
  }
};

// ---- kernels --------------------------------------------------------------------------------------------------------

// Either y = shuffle(leaky ReLU(z + b)), bf16, slope 1 being no activation; or, if `partial` [groups][splits][n p q][k]
// is not null, the parts of the sum.
template <typename T>
DOPPEL_GLOBAL((T::kThreads, 1), fprop, Bf16* y, float* partial, DOPPEL_GRID_CONSTANT const TensorMap x,
              DOPPEL_GRID_CONSTANT const TensorMap w, const float* b, ConvShape v, float slope, bool shuffle,
              int splits, int tiles) {
  wait_for_earlier_kernels();
  const int pixels = v.n * v.p * v.q;
  const auto steps_of = [&](int tile) {
    const Steps steps = Job::of<T>(tile, v, splits).steps;
    return steps.end - steps.begin;
  };
  const auto load = [&](int tile, auto&& next) {
    const Job job = Job::of<T>(tile, v, splits);
    constexpr int kFilters = T::kN / T::kBlocks;  // of this block
    const int filters = wgmma_rank<T>() * kFilters;
    const int m = wgmma_row_to_bring<T>(job.m, pixels), line = m / v.q, image = job.sum.group * v.n + line / v.p;
    const int left = m % v.q * v.stride - v.pad_left, top = line % v.p * v.stride - v.pad_top;
    const int per_tap = ceil_div(v.c, kWgmmaStep);
    int c = job.steps.begin % per_tap * kWgmmaStep, tap = job.steps.begin / per_tap;
    for (int step = job.steps.begin; step < job.steps.end; ++step) {
      const StageToFill to = next();
      tma_load_im2col(to.a, x, {c, left, top, image}, tap % v.s, tap / v.s, *to.full);
      load_shared<T>(to.b + filters * kWgmmaRow, w, {c, tap, job.n + filters, job.sum.group}, *to.full);
      if ((c += kWgmmaStep) >= v.c) c = 0, ++tap;
    }
  };
  const auto store = [&](int tile, const float(&acc)[T::kN / 2], int row, unsigned char* mine) {
    const Job job = Job::of<T>(tile, v, splits);
    const int first = job.m + row;
    if (partial) {
      float* const out = partial + (int64_t(job.sum.group) * splits + job.sum.part) * v.out_elements();
      for_wgmma_pairs(acc, [&](int i, int column, float v0, float v1) {
        if (first + i < pixels && job.n + column < v.k)
          store_vector(out + int64_t(first + i) * v.k + job.n + column, make_float2(v0, v1));
      });
      return;
    }
    const OutputPlace to{shuffle, v.q, v.k};
    Bf16* const out = y + job.sum.group * v.out_elements();
    const float* const bias = b + job.sum.group * v.bias_stride;
    const auto finish = [&](int column, float& v0, float& v1) {
      const bool inside = job.n + column < v.k;
      v0 = activate(Activation::leaky_relu, v0 + (inside ? bias[job.n + column] : 0.0f), slope);
      v1 = activate(Activation::leaky_relu, v1 + (inside ? bias[job.n + column + 1] : 0.0f), slope);
    };
    for_wgmma_units(acc, mine, finish, [&](int i, int column, const uint4& unit) {
      if (first + i < pixels && job.n + column < v.k) to.store(out, first + i, job.n + column, unit);
    });
  };
  wgmma_tiles<T, false, false>(tiles, steps_of, load, store);
}

// ---- launchers ------------------------------------------------------------------------------------------------------

// As mma_fprop: z goes through memory when its sum is split, for the epilogues of last layers, and for two tensors.
bool by_partials(const Conv2d& v, const Epilogue& e) {
  return v.kernels.fprop.splits > 1 || e.activation == Activation::sigmoid || saves_input(e.activation) ||
         v.out_type == DType::f32;
}

}  // namespace

size_t wgmma_fprop_workspace(const Conv2d& conv, const Epilogue& epilogue) {
  if (!by_partials(conv, epilogue)) return 0;
  return size_t(conv.groups) * size_t(conv.kernels.fprop.splits) * size_t(conv.out_elements()) * sizeof(float);
}

void wgmma_fprop(void* y, void* saved, const void* x, const void* w, const float* b, const Conv2d& conv,
                 const Epilogue& epilogue, void* workspace, Stream stream) {
  require_units(y, x, w, conv);
  const auto [kernel, splits, algorithm, shares] = conv.kernels.fprop;
  const ConvShape v = shape_of(conv);
  float* const partial = by_partials(conv, epilogue) ? static_cast<float*>(workspace) : nullptr;
  const float slope = epilogue.activation == Activation::leaky_relu ? epilogue.slope : 1.0f;
  with_wgmma_tile(kernel, [&, splits = splits]<typename T>(T) {
    const int tiles = tiles_of(wgmma_tiles_of<T>(conv.out_pixels(), v.k), conv, splits);
    DOPPEL_KERNEL(fprop<T>).launch(
        wgmma_geometry<T>(tiles), static_cast<Bf16*>(y), partial, make_tensor_map(pixels_of(conv, x, T::kM)),
        make_tensor_map(filters_of(conv, w, T::kN / T::kBlocks)), b, v, slope, epilogue.shuffle, splits, tiles, stream);
  });
  if (partial) finish_splits(y, saved, partial, b, conv, epilogue, splits, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
