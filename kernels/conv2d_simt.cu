// fprop and dgrad in fp32. Both gather: a pixel that is written is the sum, over the rows of the filter, of a run of
// neighbouring elements of the picture that is read times weights; see docs/kernels/conv2d_simt.md. dgrad with stride 2
// is four such sums, one for each parity of the pixel's row and column, each with its own quarter of the filter.
#include "kernels/conv2d_simt.h"

#include "kernels/conv2d_output.h"
#include "kernels/conv2d_splits.h"
#include "kernels/conv2d_tile.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

// One axis, rows or columns, of a gather: pixel i of those that it writes, first + stride * i of the picture, reads for
// each tap u = 0 .. taps - 1 the pixel read + read_stride * i + u, times the filter's element tap + tap_step * u.
struct Axis {
  int count, first, stride, extent;  // pixels written; extent: of the picture that they are part of
  int taps, tap, tap_step;
  int read, read_stride, size;  // size: of the picture read
};

DOPPEL_BOTH Axis fprop_axis(int in, int out, int filter, int stride, int pad) {
  return {out, 0, 1, out, filter, 0, 1, -pad, stride, in};
}

// Tap t of dx[i] reads dz[(i + pad - t) / stride], where that divides: for pixels of one phase (i + pad) mod stride, t
// is phase, phase + stride, ..., and each next tap reads one pixel earlier. So the taps run backwards here.
DOPPEL_BOTH Axis dgrad_axis(int in, int out, int filter, int stride, int pad, int phase) {
  const int first = (phase + pad) % stride, taps = (filter - phase + stride - 1) / stride;
  return {(in - first + stride - 1) / stride,          first, stride, in, taps, phase + stride * (taps - 1), -stride,
          (first + pad - phase) / stride - (taps - 1), 1,     out};
}

struct Gather {
  Conv2d conv;
  Epilogue epilogue;  // fprop
  int splits;
  bool in_vectors, w_vectors, out_vectors;  // whether quads may be moved as vectors
};

// Blocks of all phases beside each other in z.
template <bool Forward>
DOPPEL_BOTH int phases(const Conv2d& c) {
  return Forward ? 1 : c.stride * c.stride;
}
template <bool Forward>
DOPPEL_BOTH Axis axis_h(const Conv2d& c, int phase) {
  return Forward ? fprop_axis(c.h, c.out_h(), c.r, c.stride, c.pad_top)
                 : dgrad_axis(c.h, c.out_h(), c.r, c.stride, c.pad_top, phase / c.stride);
}
template <bool Forward>
DOPPEL_BOTH Axis axis_w(const Conv2d& c, int phase) {
  return Forward ? fprop_axis(c.w, c.out_w(), c.s, c.stride, c.pad_left)
                 : dgrad_axis(c.w, c.out_w(), c.s, c.stride, c.pad_left, phase % c.stride);
}
DOPPEL_BOTH int steps_of(const Axis& h, const Axis& w, int channels) {
  return h.taps * ((w.taps * channels + kDepth - 1) / kDepth);
}

// ---- kernels --------------------------------------------------------------------------------------------------------

// What a thread fetches: A = pixels by the elements of a filter row, B = those elements by channels written. Element e
// of a filter row is tap e / channels, channel e % channels: in the picture read all of them are neighbours.
template <typename T, bool Forward>
struct GatherLoader {
  const T* in;
  const T* w;
  const Gather& g;
  const Axis &ah, &aw;
  int channels, run, chunks, column;  // run: elements of a filter row; column: the block's first
  int4* starts;                       // shared: of each row of A, see start_of
  Quad a[kPasses], b[kPasses];

  __device__ __forceinline__ GatherLoader(const T* in_, const T* w_, const Gather& g_, const Axis& h_,
                                          const Axis& w_axis, int4* starts_, int64_t row, int64_t rows, int column_)
      : in(in_), w(w_), g(g_), ah(h_), aw(w_axis), column(column_), starts(starts_) {
    channels = Forward ? g.conv.c : g.conv.k;
    run = aw.taps * channels;
    chunks = (run + kDepth - 1) / kDepth;
    static_assert(kTileThreads == kTile);
    store_vector(&starts[threadIdx.x], start_of(row + threadIdx.x, rows));
    __syncthreads();
  }

  // Where the pixel of row m begins to read: its picture's first pixel, row and column (may lie outside). They wait in
  // shared memory: registers are what the tile has least of.
  __device__ __forceinline__ int4 start_of(int64_t m, int64_t rows) const {
    const int x = int(m % aw.count), line = int(m / aw.count);
    // A row behind the last is outside every picture.
    return {line / ah.count * ah.size * aw.size, m < rows ? ah.read + ah.read_stride * (line % ah.count) : ah.size,
            aw.read + aw.read_stride * x, 0};
  }

  __device__ __forceinline__ void load(int step) {
    const int thread = int(threadIdx.x), u = step / chunks, e0 = step % chunks * kDepth;
    const int r = ah.tap + ah.tap_step * u, e = e0 + AlongDepth::depth(thread);
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int4 start = load_vector<int4>(&starts[AlongDepth::row(thread, pass)]);
      const int picture = start.x, i = start.y + u, left = start.z;
      const bool inside = i >= 0 && i < ah.size;
      const int from = -left * channels, to = std::min(run, (aw.size - left) * channels);
      a[pass] = load_quad(in, int64_t(picture + i * aw.size + left) * channels + e, from - e, inside ? to - e : 0,
                          g.in_vectors);
    }
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      if constexpr (Forward) {
        const int k = column + AlongDepth::row(thread, pass);
        b[pass] = load_quad(w, (int64_t(k) * g.conv.r + r) * run + e, 0, k < g.conv.k ? run - e : 0, g.w_vectors);
      } else {
        const int element = e0 + AlongTile::depth(thread, pass), c = column + AlongTile::row(thread);
        const int s = aw.tap + aw.tap_step * (element / channels);
        b[pass] = load_quad(w, ((int64_t(element % channels) * g.conv.r + r) * g.conv.s + s) * g.conv.c + c, 0,
                            element < run ? g.conv.c - c : 0, g.w_vectors);
      }
    }
  }

  __device__ __forceinline__ void store(TileRow* tile_a, TileRow* tile_b) const {
    AlongDepth::store(tile_a, int(threadIdx.x), a);
    if constexpr (Forward)
      AlongDepth::store(tile_b, int(threadIdx.x), b);
    else
      AlongTile::store(tile_b, int(threadIdx.x), b);
  }
};

// Four sums of one pixel (its number among the group's that are written) from channel `column` on: y = f(sum + b), dx =
// sum; `first`: the group's first element of out.
template <bool Forward>
__device__ __forceinline__ void write_quad(void* out, int64_t first, const float* b, Quad quad, const Gather& g,
                                           int64_t pixel, int column, int columns) {
  const Conv2d& conv = g.conv;
  const DType type = Forward ? conv.out_type : conv.type;
  const auto offset = [&](int k) {
    return first + (Forward ? output_offset(conv, g.epilogue.shuffle, 0, int(pixel / conv.out_w()),
                                            int(pixel % conv.out_w()), k)
                            : pixel * columns + k);
  };
  if constexpr (Forward) {
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (column + j < columns) quad.v[j] = finish_output(quad.v[j] + b[column + j], g.epilogue);
  }
  if (g.out_vectors)
    store_output_quad(out, offset(column), quad, type);
  else
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (column + j < columns) store_output(out, offset(column + j), quad.v[j], type);
}

// One tile of a group's [pixels, channels written]; blockIdx: tile of pixels, tile of channels, phase and split and
// group. Where there is a `partial`, the bare sums go to partial[group][split][pixel][channel].
template <typename T, bool Forward>
DOPPEL_GLOBAL((kTileThreads), gather_kernel, void* out, float* partial, const T* in, const T* w, const float* b,
              Gather g) {
  wait_for_earlier_kernels();
  const int phase = int(blockIdx.z) % phases<Forward>(g.conv), part = int(blockIdx.z) / phases<Forward>(g.conv);
  const int split = part % g.splits, group = part / g.splits;
  const Axis ah = axis_h<Forward>(g.conv, phase), aw = axis_w<Forward>(g.conv, phase);
  const int64_t rows = int64_t(g.conv.n) * ah.count * aw.count, row = int64_t(blockIdx.x) * kTile;
  const int columns = Forward ? g.conv.k : g.conv.c, column = int(blockIdx.y) * kTile;
  if (row >= rows) return;  // this phase has fewer pixels than the largest
  in += group * (Forward ? g.conv.in_elements() : g.conv.out_elements());
  w += group * g.conv.weight_stride;

  TileSums sums;
  DOPPEL_SHARED(int4, starts, [kTile]);
  GatherLoader<T, Forward> loader(in, w, g, ah, aw, starts, row, rows, column);
  const int steps = steps_of(ah, aw, loader.channels);
  multiply_steps(sums, loader, steps * split / g.splits, steps * (split + 1) / g.splits);

  const int64_t pixels = int64_t(g.conv.n) * ah.extent * aw.extent, first = group * pixels * columns;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int64_t m = row + TileSums::row(i);
    if (m >= rows) continue;
    const int x = int(m % aw.count), line = int(m / aw.count);
    const int64_t pixel =
        (int64_t(line / ah.count) * ah.extent + ah.first + ah.stride * (line % ah.count)) * aw.extent + aw.first +
        aw.stride * x;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int k = column + TileSums::column(half);
      if (k >= columns) continue;
      const Quad quad = sums.quad(i, half);
      if (!partial)
        write_quad<Forward>(out, first, b + (Forward ? group * g.conv.bias_stride : 0), quad, g, pixel, k, columns);
      else
        for (int j = 0; j < 4; ++j)
          if (k + j < columns) partial[(part * pixels + pixel) * columns + k + j] = quad.v[j];
    }
  }
}

// ---- launchers ------------------------------------------------------------------------------------------------------

// Pixels and filter rows of the largest phase: phase 0 has the most taps, and either may have the most pixels.
template <bool Forward>
int64_t tiles_of(const Conv2d& conv) {
  int64_t rows = 0;
  for (int phase = 0; phase < phases<Forward>(conv); ++phase)
    rows = std::max(rows, int64_t(conv.n) * axis_h<Forward>(conv, phase).count * axis_w<Forward>(conv, phase).count);
  return blocks_for(rows, kTile);
}

template <bool Forward>
SimtSum sum_of(const Conv2d& conv) {
  const int columns = Forward ? conv.k : conv.c, channels = Forward ? conv.c : conv.k;
  return {tiles_of<Forward>(conv) * blocks_for(columns, kTile) * phases<Forward>(conv),
          steps_of(axis_h<Forward>(conv, 0), axis_w<Forward>(conv, 0), channels)};
}

SimtSum sum_of(const Conv2d& conv, Pass pass) {
  return pass == Pass::fprop ? sum_of<true>(conv) : pass == Pass::dgrad ? sum_of<false>(conv) : simt_wgrad_sum(conv);
}

template <bool Forward>
int splits_of(const Conv2d& conv) {
  return simt_splits(sum_of<Forward>(conv), Forward ? conv.kernels.fprop : conv.kernels.dgrad);
}

// Whether the sums go through memory: those that are split, and those that become two tensors.
bool by_partials(int splits, const Epilogue& epilogue) {
  return splits > 1 || saves_input(epilogue.activation);
}

template <bool Forward>
size_t workspace_of(const Conv2d& conv, const Epilogue& epilogue, int64_t outputs) {
  const int splits = splits_of<Forward>(conv);
  return by_partials(splits, epilogue) ? size_t(conv.groups) * size_t(splits) * size_t(outputs) * sizeof(float) : 0;
}

template <typename T, bool Forward>
void launch_gather(void* out, void* saved, const void* in, const void* w, const float* b, const Conv2d& conv,
                   const Epilogue& epilogue, void* workspace, Stream stream) {
  const int columns = Forward ? conv.k : conv.c, channels = Forward ? conv.c : conv.k;
  const DType type = Forward ? conv.out_type : conv.type;
  Gather g{conv, epilogue, splits_of<Forward>(conv), false, false, false};
  g.in_vectors = channels % 4 == 0 && is_aligned<Vector<T, 4>>(in);
  g.w_vectors =
      (Forward ? conv.s * conv.c : conv.c) % 4 == 0 && conv.weight_stride % 4 == 0 && is_aligned<Vector<T, 4>>(w);
  g.out_vectors = (Forward ? output_vector(conv, epilogue.shuffle) == 4 : conv.c % 4 == 0) &&
                  reinterpret_cast<uintptr_t>(out) % (4 * size_of(type)) == 0;
  float* const partial = by_partials(g.splits, epilogue) ? static_cast<float*>(workspace) : nullptr;
  DOPPEL_KERNEL(gather_kernel<T, Forward>)
      .launch({dim3(unsigned(tiles_of<Forward>(conv)), blocks_for(columns, kTile),
                    unsigned(phases<Forward>(conv) * g.splits * conv.groups)),
               kTileThreads},
              out, partial, static_cast<const T*>(in), static_cast<const T*>(w), b, g, stream);
  if (!partial) return;
  if (Forward)
    finish_splits(out, saved, partial, b, conv, epilogue, g.splits, stream);
  else
    add_splits(out, conv.type, partial, conv.in_elements(), g.splits, conv.groups, conv.in_elements(), stream);
}

}  // namespace

ConvWorkspace simt_workspace(const Conv2d& conv, const Epilogue& epilogue) {
  ConvWorkspace bytes;
  bytes.fprop = workspace_of<true>(conv, epilogue, conv.out_elements());
  bytes.dgrad = workspace_of<false>(conv, {}, conv.in_elements());
  bytes.wgrad = simt_wgrad_workspace(conv);
  return bytes;
}

std::vector<KernelChoice> simt_choices(const Conv2d& conv, Pass pass) {
  const SimtSum sum = sum_of(conv, pass);
  const int best = simt_splits(sum, {});
  std::vector<KernelChoice> all{{KernelKind::simt, best}};
  for (int splits = std::max(1, best / 4); splits <= std::min(4 * best, kMostSplits); splits *= 2)
    if (splits != best && (splits == 1 || sum.steps >= splits * kLeastSimtSteps)) {
      Conv2d chosen = conv;
      chosen.kernels[pass] = {KernelKind::simt, splits};
      if (simt_fits_grid(chosen, pass)) all.push_back(chosen.kernels[pass]);
    }
  return all;
}

bool simt_fits_grid(const Conv2d& conv, Pass pass) {
  const SimtSum sum = sum_of(conv, pass);
  const int64_t phases_of = pass == Pass::dgrad ? phases<false>(conv) : 1;
  return phases_of * simt_splits(sum, conv.kernels[pass]) * conv.groups <= kMostBlocksYZ;
}

void simt_fprop(void* y, void* saved, const void* x, const void* w, const float* b, const Conv2d& conv,
                const Epilogue& epilogue, void* workspace, Stream stream) {
  const auto launch = conv.type == DType::bf16 ? launch_gather<Bf16, true> : launch_gather<float, true>;
  launch(y, saved, x, w, b, conv, epilogue, workspace, stream);
}

void simt_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream) {
  const auto launch = conv.type == DType::bf16 ? launch_gather<Bf16, false> : launch_gather<float, false>;
  launch(dx, nullptr, dz, w, nullptr, conv, {}, workspace, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
