// dx [n h w, c] = pixels of dz [n h w, r s k] times filters [r s k, c]: dz read along the sum, the filters across it.
// With stride 2 one product for each phase (kernels/conv2d_phase.h); with stride 1 there is one phase.
// docs/kernels/conv2d_wgmma.md.
#include "kernels/conv2d_mma_store.h"
#include "kernels/conv2d_phase.h"
#include "kernels/conv2d_wgmma.h"
#include "kernels/conv2d_wgmma_tile.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

struct Phases {
  Phase y[4], x[4];
  int first[5];  // tile of each phase, in one part of a group's sums, and how many there are
};

// dz as each phase sees it. Its pixel i saw tap j from output out + i - j, so with the taps backwards, j' = taps - 1 -
// j, from first + i + j': as in fprop. The box begins at that `first` and has the phase's pixels.
struct PhaseMaps {
  TensorMap dz[4];
};

// Tile (or pair of tiles) number `tile`: input channels fastest, then pixels, phases, parts of the sum, and groups
// slowest.
struct Job {
  int phase, m, n;
  SumPart sum;
  Steps steps;
  template <typename T>
  static __device__ __forceinline__ Job of(int tile, const ConvShape& v, const Phases& phases, int splits) {
    const SumPart sum(tile / phases.first[4], splits);
    const int i = tile % phases.first[4], across = ceil_div(v.c, T::kN);
    int phase = 0;
    while (i >= phases.first[phase + 1]) ++phase;
    const int of_phase = i - phases.first[phase];
    return {phase, wgmma_first_row<T>(of_phase / across), of_phase % across * T::kN, sum,
            Steps(phases.y[phase].taps * phases.x[phase].taps * ceil_div(v.k, kWgmmaStep), sum.part, splits)};
  }
};

// ---- kernels --------------------------------------------------------------------------------------------------------

// dx; or, if `partial` [groups][splits][n h w][c] is not null, the parts of its sums.
template <typename T>
DOPPEL_GLOBAL((T::kThreads, 1), dgrad, Bf16* dx, float* partial, DOPPEL_GRID_CONSTANT const PhaseMaps maps,
              DOPPEL_GRID_CONSTANT const TensorMap w, DOPPEL_GRID_CONSTANT const Phases phases, ConvShape v, int splits,
              int tiles) {
  wait_for_earlier_kernels();
  const auto steps_of = [&](int tile) {
    const Steps steps = Job::of<T>(tile, v, phases, splits).steps;
    return steps.end - steps.begin;
  };
  const auto load = [&](int tile, auto&& next) {
    const Job job = Job::of<T>(tile, v, phases, splits);
    const Phase &y = phases.y[job.phase], &x = phases.x[job.phase];
    constexpr int kChannels = T::kN / T::kBlocks;  // of this block
    const int channels = wgmma_rank<T>() * kChannels;
    const int m = wgmma_row_to_bring<T>(job.m, v.n * y.pixels * x.pixels);
    const int line = m / x.pixels, image = job.sum.group * v.n + line / y.pixels;
    const int left = m % x.pixels + x.out - (x.taps - 1), top = line % y.pixels + y.out - (y.taps - 1);
    const int per_tap = ceil_div(v.k, kWgmmaStep);
    for (int step = job.steps.begin; step < job.steps.end; ++step) {
      const int k = step % per_tap * kWgmmaStep, right = step / per_tap % x.taps, down = step / per_tap / x.taps;
      const int r = y.tap + (y.taps - 1 - down) * v.stride, s = x.tap + (x.taps - 1 - right) * v.stride;
      const StageToFill to = next();
      tma_load_im2col(to.a, maps.dz[job.phase], {k, left, top, image}, right, down, *to.full);
      for (int c = channels; c < channels + kChannels; c += 64)
        load_shared<T>(to.b + c * kWgmmaRow, w, {job.n + c, r * v.s + s, k, job.sum.group}, *to.full);
    }
  };
  const auto store = [&](int tile, const float(&acc)[T::kN / 2], int row, unsigned char* mine) {
    const Job job = Job::of<T>(tile, v, phases, splits);
    const Phase &py = phases.y[job.phase], &px = phases.x[job.phase];
    const int first = job.m + row, rows = v.n * py.pixels * px.pixels;
    const auto index = [&](int m, int channel) {
      const int line = m / px.pixels, image = line / py.pixels;
      const int y = line % py.pixels * v.stride + py.first, x = m % px.pixels * v.stride + px.first;
      return (int64_t(image * v.h + y) * v.w + x) * v.c + channel;
    };
    if (partial) {
      float* const out = partial + (int64_t(job.sum.group) * splits + job.sum.part) * v.in_elements();
      for_wgmma_pairs(acc, [&](int i, int column, float v0, float v1) {
        if (first + i < rows && job.n + column < v.c)
          store_vector(out + index(first + i, job.n + column), make_float2(v0, v1));
      });
      return;
    }
    Bf16* const out = dx + job.sum.group * v.in_elements();
    for_wgmma_units(
        acc, mine, [](int, float&, float&) {},
        [&](int i, int column, const uint4& unit) {
          if (first + i < rows && job.n + column < v.c) store_vector(out + index(first + i, job.n + column), unit);
        });
  };
  wgmma_tiles<T, false, true>(tiles, steps_of, load, store);
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <typename T>
Phases phases_of(const Conv2d& v) {
  Phases all{};
  for (int i = 0; i < 4; ++i) {
    all.first[i + 1] = all.first[i];
    if (i >= v.stride * v.stride) continue;
    all.y[i] = phase_of(i / v.stride, v.h, v.r, v.pad_top, v.stride);
    all.x[i] = phase_of(i % v.stride, v.w, v.s, v.pad_left, v.stride);
    all.first[i + 1] += int(wgmma_tiles_of<T>(int64_t(v.n) * all.y[i].pixels * all.x[i].pixels, v.c));
  }
  return all;
}

PhaseMaps maps_of(const Conv2d& v, const void* dz, const Phases& phases, int pixels) {
  PhaseMaps maps{};
  for (int i = 0; i < 4; ++i) {
    const Phase &y = phases.y[i], &x = phases.x[i];
    if (phases.first[i] == phases.first[i + 1]) continue;  // no pixels
    const int left = x.out - (x.taps - 1), top = y.out - (y.taps - 1);
    maps.dz[i] = make_tensor_map(Im2col{dz, pictures_of(v), v.out_h(), v.out_w(), v.k, left, top,
                                        left + x.pixels - v.out_w(), top + y.pixels - v.out_h(), 1, pixels});
  }
  return maps;
}

}  // namespace

size_t wgmma_dgrad_workspace(const Conv2d& conv) {
  const int splits = conv.kernels.dgrad.splits;
  return splits > 1 ? size_t(conv.groups) * size_t(splits) * size_t(conv.in_elements()) * sizeof(float) : 0;
}

void wgmma_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream) {
  require_units(dx, dz, w, conv);
  const auto [kernel, splits, algorithm, shares] = conv.kernels.dgrad;
  const ConvShape v = shape_of(conv);
  float* const partial = splits > 1 ? static_cast<float*>(workspace) : nullptr;
  Tiled filters = filters_of(conv, w, 64);  // of as many output channels as a step has, one block of input channels
  with_wgmma_tile(kernel, [&, splits = splits]<typename T>(T) {
    const Phases phases = phases_of<T>(conv);
    const int tiles = tiles_of(phases.first[4], conv, splits);
    DOPPEL_KERNEL(dgrad<T>).launch(wgmma_geometry<T>(tiles), static_cast<Bf16*>(dx), partial,
                                   maps_of(conv, dz, phases, T::kM), make_tensor_map(filters), phases, v, splits, tiles,
                                   stream);
  });
  if (partial) add_splits(dx, DType::bf16, partial, v.in_elements(), splits, conv.groups, v.in_elements(), stream);
}

}  // namespace doppel::DOPPEL_BACKEND
