// dw [k, r s c] = dz [k, n p q] times pixels [n p q, r s c], both read across the sum. Columns are taken in units of 64
// channels of one tap, so that each is a box of the copy engine's. docs/kernels/conv2d_wgmma.md.
#include "kernels/conv2d_mma_store.h"
#include "kernels/conv2d_shares.h"
#include "kernels/conv2d_wgmma.h"
#include "kernels/conv2d_wgmma_tile.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

// Tile (or pair of tiles) number `tile`: columns fastest, then rows; `sum` counts parts of the sums, and groups
// slowest.
template <typename T>
struct Tile {
  int m, unit, sum;
  __device__ __forceinline__ Tile(int tile, const ConvShape& v) {
    const int across = ceil_div(v.r * v.s * ceil_div(v.c, 64), T::kN / 64), down = ceil_div(v.k, T::kRows);
    m = wgmma_first_row<T>(tile / across % down), unit = tile % across * (T::kN / 64), sum = tile / across / down;
  }
};

// One of the pieces that the sums are cut into: steps begin .. end of a tile. Its results go to part `part` of those of
// the group, or, from `slot` 0 on, to a place of the tile's own (kernels/conv2d_shares_plan.h).
struct Job {
  int m, unit, group, begin, end, part, slot;
};

// Every sum in so many parts.
struct InParts {
  int splits, tiles;
  template <typename T>
  __device__ __forceinline__ Job job(int number, const ConvShape& v) const {
    const Tile<T> tile(number, v);
    const SumPart sum(tile.sum, splits);
    const Steps steps(ceil_div(v.n * v.p * v.q, kWgmmaStep), sum.part, splits);
    return {tile.m, tile.unit, sum.group, steps.begin, steps.end, sum.part, -1};
  }
  __device__ __forceinline__ int jobs() const { return tiles; }
};

// All sums in equal shares.
struct InShares {
  Shares shares;
  template <typename T>
  __device__ __forceinline__ Job job(int number, const ConvShape& v) const {
    const SharePart part = shares.part(number);
    const Tile<T> tile(part.tile, v);
    return {
        tile.m, tile.unit, tile.sum, part.begin, part.end, 0, part.end - part.begin < shares.steps ? part.slot : -1};
  }
  __device__ __forceinline__ int jobs() const { return shares.parts(); }
};

// x, a step of a group's pixels at a time. When a group's last step has fewer pixels, `last` brings these alone, and
// `none` zeros for the others. A whole box would go on with the next group's pixels: dz is 0 there, but what they hold
// may be infinite, and one person's gradient must not know of another's.
struct PixelMaps {
  TensorMap whole, last, none;
};

// ---- kernels --------------------------------------------------------------------------------------------------------

// out [parts][k][r s c], those of the next group `stride` elements further; `slots` [kRows][kN] each.
template <typename T, typename Cut>
DOPPEL_GLOBAL((T::kThreads, 1), wgrad, float* out, float* slots, DOPPEL_GRID_CONSTANT const PixelMaps x,
              DOPPEL_GRID_CONSTANT const TensorMap dz, ConvShape v, Cut cut, int64_t stride) {
  wait_for_earlier_kernels();
  const int of_tap = ceil_div(v.c, 64), units = v.r * v.s * of_tap, pixels = v.n * v.p * v.q;
  const auto steps_of = [&](int number) {
    const Job job = cut.template job<T>(number, v);
    return job.end - job.begin;
  };
  const auto load = [&](int number, auto&& next) {
    const Job job = cut.template job<T>(number, v);
    for (int step = job.begin; step < job.end; ++step) {
      const int m = step * kWgmmaStep, line = m / v.q, image = job.group * v.n + line / v.p;
      const int left = m % v.q * v.stride - v.pad_left, top = line % v.p * v.stride - v.pad_top;
      const StageToFill to = next();
      for (int i = 0; i < T::kM / 64; ++i)
        tma_load(to.a + i * kWgmmaBlock, dz, {job.m + 64 * i, m, 0, job.group}, *to.full);
      const int rest = pixels - m;
      const TensorMap& some = rest < kWgmmaStep ? x.last : x.whole;
      constexpr int kUnits = T::kN / 64 / T::kBlocks;  // of this block
      for (int i = wgmma_rank<T>() * kUnits; i < (wgmma_rank<T>() + 1) * kUnits; ++i) {
        // Units behind the last look below the filter: nobody stores what comes of them.
        const int unit = job.unit + i, tap = unit / of_tap, right = tap % v.s, down = tap / v.s;
        unsigned char* const block = to.b + i * kWgmmaBlock;
        load_shared_im2col<T>(block, some, {unit % of_tap * 64, left, top, image}, right, down, *to.full);
        if (rest < kWgmmaStep)  // channels behind the last are zeros, whatever the pixels
          load_shared_im2col<T>(block + rest * kWgmmaRow, x.none, {v.c, left, top, image}, right, down, *to.full);
      }
    }
  };
  const auto store = [&](int number, const float(&acc)[T::kN / 2], int row, unsigned char*) {
    const Job job = cut.template job<T>(number, v);
    if constexpr (std::is_same_v<Cut, InShares>) {
      if (job.begin == job.end) return;
      if (job.slot >= 0) {
        float* const slot = slots + (int64_t(job.slot) * T::kRows + wgmma_rank<T>() * T::kM + row) * T::kN;
        for_wgmma_pairs(acc, [&](int i, int column, float v0, float v1) {
          store_vector(slot + i * T::kN + column, make_float2(v0, v1));
        });
        return;
      }
    }
    float* const part = out + job.group * stride + int64_t(job.part) * v.k * v.filter;
    for_wgmma_pairs(acc, [&](int i, int column, float v0, float v1) {
      const int k = job.m + row + i, unit = job.unit + column / 64, c = unit % of_tap * 64 + column % 64;
      if (k < v.k && unit < units && c < v.c)
        store_vector(part + int64_t(k) * v.filter + unit / of_tap * v.c + c, make_float2(v0, v1));
    });
  };
  wgmma_tiles<T, true, true>(cut.jobs(), steps_of, load, store);
}

// ---- launchers ------------------------------------------------------------------------------------------------------

PixelMaps maps_of(const Conv2d& v, const void* x) {
  PixelMaps maps{};
  maps.whole = make_tensor_map(pixels_of(v, x, kWgmmaStep));
  const int rest = int(v.out_pixels() % kWgmmaStep);
  if (rest == 0) return maps;
  maps.last = make_tensor_map(pixels_of(v, x, rest));
  maps.none = make_tensor_map(pixels_of(v, x, kWgmmaStep - rest));
  return maps;
}

}  // namespace

size_t wgmma_wgrad_workspace(const Conv2d& conv) {
  const auto& [kernel, splits, algorithm, shares] = conv.kernels.wgrad;
  if (shares > 0)
    return size_t(wgmma_shares(conv, conv.kernels.wgrad).slots()) * size_t(wgmma_rows(kernel)) *
           size_t(wgmma_columns(kernel)) * sizeof(float);
  return splits > 1 ? size_t(conv.groups) * size_t(splits) * size_t(conv.weights()) * sizeof(float) : 0;
}

void wgmma_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  require_units(dw, x, dz, conv);
  const auto [kernel, splits, algorithm, shares] = conv.kernels.wgrad;
  const ConvShape v = shape_of(conv);
  const Shares dealt = shares > 0 ? wgmma_shares(conv, conv.kernels.wgrad) : Shares{};
  const auto slots = static_cast<float*>(workspace);
  float* const partial = splits > 1 ? static_cast<float*>(workspace) : nullptr;
  const int64_t count = conv.weights(), outputs = conv.out_elements();
  const Tiled gradients{dz, {v.k, conv.out_pixels(), 1, conv.groups}, {v.k, outputs, outputs}, kWgmmaStep, 1};
  const int units = v.r * v.s * ceil_div(v.c, 64);
  with_wgmma_tile(kernel, [&, splits = splits, shares = shares]<typename T>(T) {
    if (shares > 0) {
      DOPPEL_KERNEL(wgrad<T, InShares>)
          .launch(wgmma_geometry<T>(dealt.parts()), dw, slots, maps_of(conv, x), make_tensor_map(gradients), v,
                  InShares{dealt}, conv.weight_stride, stream);
      add_shares(dw, slots, dealt, T::kRows, T::kN, conv, stream);
      return;
    }
    const int tiles = tiles_of(wgmma_tiles_of<T>(v.k, int64_t(units) * 64), conv, splits);
    DOPPEL_KERNEL(wgrad<T, InParts>)
        .launch(wgmma_geometry<T>(tiles), partial ? partial : dw, nullptr, maps_of(conv, x), make_tensor_map(gradients),
                v, InParts{splits, tiles}, partial ? splits * count : conv.weight_stride, stream);
  });
  if (partial) add_splits(dw, DType::f32, partial, count, splits, conv.groups, conv.weight_stride, stream);
}

ConvWorkspace wgmma_workspace(const Conv2d& conv, const Epilogue& epilogue) {
  ConvWorkspace bytes;
  bytes.fprop = wgmma_fprop_workspace(conv, epilogue);
  bytes.dgrad = wgmma_dgrad_workspace(conv);
  bytes.wgrad = wgmma_wgrad_workspace(conv);
  return bytes;
}

bool has_wgmma() {
  return device_sm() == 90;
}

}  // namespace doppel::DOPPEL_BACKEND
