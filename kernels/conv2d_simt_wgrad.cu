// wgrad in fp32: dw [K, R S C] is the product of dz transposed, [K, pixels], and x gathered, [pixels, R S C]. There are
// few tiles of dw and many pixels, so blocks share a tile's pixels (docs/kernels/conv2d_simt.md).
#include "kernels/conv2d_simt.h"
#include "kernels/conv2d_splits.h"
#include "kernels/conv2d_tile.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

struct Wgrad {
  Conv2d conv;
  int splits;
  int64_t stride;              // elements from a group's first split in the output to the next one's
  bool x_vectors, dz_vectors;  // whether quads may be moved as vectors
};

// ---- kernels --------------------------------------------------------------------------------------------------------

// What a thread fetches: four channels of dz, and four columns of the gathered x, at four pixels a step. Column j is
// element j % run of filter row j / run; the elements of a filter row are neighbours in x.
template <typename T>
struct WgradLoader {
  const T* x;
  const T* dz;
  const Wgrad& g;
  int k, columns;  // k: the first of this thread's four channels; columns: left from its first on
  int r[4], e[4];  // filter row and element of its columns
  int pixels, run, q, p;
  Quad a[kPasses], b[kPasses];

  __device__ __forceinline__ WgradLoader(const T* x_, const T* dz_, const Wgrad& g_, int row, int column)
      : x(x_), dz(dz_), g(g_) {
    const int first = column + AlongTile::row(int(threadIdx.x));
    k = row + AlongTile::row(int(threadIdx.x));
    run = g.conv.s * g.conv.c;
    columns = g.conv.r * run - first;
    pixels = int(g.conv.out_pixels()), p = g.conv.out_h(), q = g.conv.out_w();
#pragma unroll
    for (int j = 0; j < 4; ++j) r[j] = (first + j) / run, e[j] = (first + j) % run;
  }

  // Elements j, or from j on as a vector, of the columns at output pixel (line / p, line % p, out_x).
  __device__ __forceinline__ Quad load_x(int line, int out_x, int j, int to, bool vectors) const {
    const Conv2d& c = g.conv;
    const int i = line % p * c.stride + r[j] - c.pad_top, left = out_x * c.stride - c.pad_left;
    const bool inside = i >= 0 && i < c.h && e[j] >= -left * c.c && e[j] < (c.w - left) * c.c;
    const int64_t offset = (int64_t(line / p * c.h + i) * c.w + left) * c.c + e[j];
    return load_quad(x, offset, 0, inside ? to : 0, vectors);
  }

  __device__ __forceinline__ void load(int step) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int pixel = step * kDepth + AlongTile::depth(int(threadIdx.x), pass);
      const bool any = pixel < pixels;
      a[pass] = load_quad(dz, int64_t(pixel) * g.conv.k + k, 0, any ? g.conv.k - k : 0, g.dz_vectors);
      const int line = pixel / q, out_x = pixel % q, to = any ? columns : 0;
      if (g.x_vectors) {
        b[pass] = load_x(line, out_x, 0, to, true);
      } else {
#pragma unroll
        for (int j = 0; j < 4; ++j) b[pass].v[j] = load_x(line, out_x, j, std::min(to - j, 1), false).v[0];
      }
    }
  }

  __device__ __forceinline__ void store(TileRow* tile_a, TileRow* tile_b) const {
    AlongTile::store(tile_a, int(threadIdx.x), a);
    AlongTile::store(tile_b, int(threadIdx.x), b);
  }
};

// One tile of dw, or of partial[group][split] of dw's shape; blockIdx: tile of columns, tile of rows, split and group.
template <typename T>
DOPPEL_GLOBAL((kTileThreads), wgrad_kernel, float* dw, const T* x, const T* dz, Wgrad g) {
  wait_for_earlier_kernels();
  const int row = int(blockIdx.y) * kTile, column = int(blockIdx.x) * kTile, split = int(blockIdx.z) % g.splits;
  const int64_t group = int(blockIdx.z) / g.splits;
  const int width = g.conv.r * g.conv.s * g.conv.c;
  TileSums sums;
  WgradLoader<T> loader(x + group * g.conv.in_elements(), dz + group * g.conv.out_elements(), g, row, column);
  const int64_t steps = (g.conv.out_pixels() + kDepth - 1) / kDepth;
  multiply_steps(sums, loader, int(steps * split / g.splits), int(steps * (split + 1) / g.splits));
  float* out = dw + group * g.stride + split * g.conv.weights();
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int k = row + TileSums::row(i), first = column + TileSums::column(half);
      const Quad quad = sums.quad(i, half);
#pragma unroll
      for (int j = 0; j < 4; ++j)
        if (k < g.conv.k && first + j < width) out[int64_t(k) * width + first + j] = quad.v[j];
    }
}

// ---- launchers ------------------------------------------------------------------------------------------------------

unsigned row_tiles(const Conv2d& conv) {
  return blocks_for(conv.k, kTile);
}
unsigned column_tiles(const Conv2d& conv) {
  return blocks_for(int64_t(conv.r) * conv.s * conv.c, kTile);
}
int splits_of(const Conv2d& conv) {
  return simt_splits(simt_wgrad_sum(conv), conv.kernels.wgrad);
}

template <typename T>
void launch_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  const int splits = splits_of(conv);
  Wgrad g{conv, splits, splits == 1 ? conv.weight_stride : splits * conv.weights(), false, false};
  g.x_vectors = conv.c % 4 == 0 && is_aligned<Vector<T, 4>>(x);
  g.dz_vectors = conv.k % 4 == 0 && is_aligned<Vector<T, 4>>(dz);
  float* partial = static_cast<float*>(workspace);
  DOPPEL_KERNEL(wgrad_kernel<T>)
      .launch({dim3(column_tiles(conv), row_tiles(conv), unsigned(splits * conv.groups)), kTileThreads},
              splits == 1 ? dw : partial, static_cast<const T*>(x), static_cast<const T*>(dz), g, stream);
  if (splits > 1) add_splits(dw, DType::f32, partial, conv.weights(), splits, conv.groups, conv.weight_stride, stream);
}

}  // namespace

SimtSum simt_wgrad_sum(const Conv2d& conv) {
  return {int64_t(row_tiles(conv)) * column_tiles(conv), (conv.out_pixels() + kDepth - 1) / kDepth};
}

size_t simt_wgrad_workspace(const Conv2d& conv) {
  const int splits = splits_of(conv);
  return splits == 1 ? 0 : size_t(conv.groups) * size_t(splits) * size_t(conv.weights()) * sizeof(float);
}

void simt_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  const auto launch = conv.type == DType::bf16 ? launch_wgrad<Bf16> : launch_wgrad<float>;
  launch(dw, x, dz, conv, workspace, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
