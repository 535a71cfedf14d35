// DSSIM on the card: a forward kernel blurs five maps of a tile through shared memory and leaves the derivatives with
// respect to three of them; a backward kernel spreads those back through the transposed blur. docs/kernels/dssim.md has
// the derivation and the tile.
#include "kernels/device/device.h"
#include "kernels/device/reduce.h"
#include "kernels/dssim_math.h"
#include "kernels/loss_math.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kTileW = 32, kTileH = 16;  // of the kernel's output; a warp works on a row
constexpr int kThreads = 256;
constexpr int kMaps = 5;         // y, t, y^2, t^2, y t
constexpr int kDerivatives = 3;  // with respect to the blurred y, y^2, y t

struct Taps {
  float v[kMaxDssimWindow];
};

struct Sizes {
  int h, w, c;       // of a picture
  int out_h, out_w;  // positions of the window
  int64_t planes;    // of all pictures: one of each channel
  float c1, c2;      // k1^2, k2^2

  // Elements of one of the three maps of derivatives, which lie plane by plane: [3][planes][out_h][out_w].
  DOPPEL_BOTH int64_t map() const { return planes * out_h * out_w; }
};

// A kernel's output of `width` x `height` per plane in tiles. The tiles of all planes follow each other along x: the
// grid takes no more than 65535 blocks along y and z, and a batch may have more planes.
struct Tiling {
  int across, down;

  DOPPEL_BOTH Tiling(int width, int height)
      : across((width + kTileW - 1) / kTileW), down((height + kTileH - 1) / kTileH) {}
  DOPPEL_BOTH int of_plane() const { return across * down; }
};
struct Tile {
  int x, y;            // of the first output
  int64_t n;           // the picture
  int64_t image;       // index of the plane's first element in the pictures [N,H,W,C]
  int64_t derivative;  // index of the plane's first element in a map of derivatives
};
__device__ __forceinline__ Tile this_tile(const Sizes& s, const Tiling& t) {
  const int block = int(blockIdx.x), tile = block % t.of_plane();
  const int64_t plane = block / t.of_plane(), n = plane / s.c;
  return {tile % t.across * kTileW, tile / t.across * kTileH, n, n * s.h * s.w * s.c + plane % s.c,
          plane * s.out_h * s.out_w};
}

// ---- kernels --------------------------------------------------------------------------------------------------------

// partial[block] = the weighted sum of 1 - SSIM over a tile of positions.
template <int Window>
DOPPEL_GLOBAL((kThreads), dssim_forward, double* partial, float* derivatives, const float* y, const float* t,
              const float* mask, LossShape shape, Sizes s, Taps taps) {
  wait_for_earlier_kernels();
  constexpr int kInW = kTileW + Window - 1, kInH = kTileH + Window - 1;
  DOPPEL_SHARED(float, ys, [kInH][kInW]);
  DOPPEL_SHARED(float, ts, [kInH][kInW]);
  DOPPEL_SHARED(float, rows, [kMaps][kInH][kTileW]);
  const Tile tile = this_tile(s, {s.out_w, s.out_h});
  const int thread = int(threadIdx.x);

  // Beyond the picture 0: no position that counts reads it.
  for (int k = thread; k < kInH * kInW; k += kThreads) {
    const int i = k / kInW, j = k % kInW, row = tile.y + i, column = tile.x + j;
    const bool inside = row < s.h && column < s.w;
    const int64_t at = tile.image + (int64_t(row) * s.w + column) * s.c;
    ys[i][j] = inside ? y[at] : 0;
    ts[i][j] = inside ? t[at] : 0;
  }
  __syncthreads();

  for (int k = thread; k < kInH * kTileW; k += kThreads) {
    const int i = k / kTileW, j = k % kTileW;
    float a = 0, b = 0, aa = 0, bb = 0, ab = 0;
#pragma unroll
    for (int tap = 0; tap < Window; ++tap) {
      const float g = taps.v[tap], u = ys[i][j + tap], v = ts[i][j + tap], gu = g * u, gv = g * v;
      a += gu;
      b += gv;
      aa += gu * u;
      bb += gv * v;
      ab += gu * v;
    }
    rows[0][i][j] = a;
    rows[1][i][j] = b;
    rows[2][i][j] = aa;
    rows[3][i][j] = bb;
    rows[4][i][j] = ab;
  }
  __syncthreads();

  const int64_t map = s.map();
  constexpr int kHalf = (Window - 1) / 2;
  double sum = 0;
  for (int k = thread; k < kTileH * kTileW; k += kThreads) {
    const int i = k / kTileW, j = k % kTileW, row = tile.y + i, column = tile.x + j;
    if (row >= s.out_h || column >= s.out_w) continue;
    float m[kMaps] = {};
#pragma unroll
    for (int tap = 0; tap < Window; ++tap)
#pragma unroll
      for (int q = 0; q < kMaps; ++q) m[q] += taps.v[tap] * rows[q][i + tap][j];
    const float w = position_weight(mask, shape, tile.n, row + kHalf, column + kHalf);
    sum += double(w * (1 - ssim(m[0], m[1], m[2], m[3], m[4], s.c1, s.c2)));
    float* out = derivatives + tile.derivative + int64_t(row) * s.out_w + column;
    out[0] = w * m[0];
    out[map] = w * m[2];
    out[2 * map] = w * m[4];
  }
  sum = block_sum<kThreads>(sum);
  if (thread == 0) partial[blockIdx.x] = sum;
}

// dy of a tile of pixels: scale (G'd0 + 2 y G'd1 + t G'd2) for the derivatives d and the transposed blur G', which is
// the blur of a map with a border of zeros, since the taps are symmetric.
template <int Window>
DOPPEL_GLOBAL((kThreads), dssim_backward, float* dy, const float* derivatives, const float* y, const float* t, Sizes s,
              Taps taps, float scale, bool accumulate) {
  wait_for_earlier_kernels();
  constexpr int kHalo = Window - 1, kInW = kTileW + kHalo, kInH = kTileH + kHalo;
  DOPPEL_SHARED(float, in, [kDerivatives][kInH][kInW]);
  DOPPEL_SHARED(float, rows, [kDerivatives][kInH][kTileW]);
  const Tile tile = this_tile(s, {s.w, s.h});
  const int thread = int(threadIdx.x);
  const int64_t map = s.map();

  // The positions whose window covers a pixel of the tile; there are none outside the map.
  for (int k = thread; k < kInH * kInW; k += kThreads) {
    const int i = k / kInW, j = k % kInW, row = tile.y + i - kHalo, column = tile.x + j - kHalo;
    const bool inside = row >= 0 && row < s.out_h && column >= 0 && column < s.out_w;
    const float* from = derivatives + tile.derivative + int64_t(row) * s.out_w + column;
    for (int q = 0; q < kDerivatives; ++q) in[q][i][j] = inside ? from[q * map] : 0;
  }
  __syncthreads();

  for (int k = thread; k < kInH * kTileW; k += kThreads) {
    const int i = k / kTileW, j = k % kTileW;
    float sum[kDerivatives] = {};
#pragma unroll
    for (int tap = 0; tap < Window; ++tap)
#pragma unroll
      for (int q = 0; q < kDerivatives; ++q) sum[q] += taps.v[tap] * in[q][i][j + tap];
    for (int q = 0; q < kDerivatives; ++q) rows[q][i][j] = sum[q];
  }
  __syncthreads();

  for (int k = thread; k < kTileH * kTileW; k += kThreads) {
    const int i = k / kTileW, j = k % kTileW, row = tile.y + i, column = tile.x + j;
    if (row >= s.h || column >= s.w) continue;
    float sum[kDerivatives] = {};
#pragma unroll
    for (int tap = 0; tap < Window; ++tap)
#pragma unroll
      for (int q = 0; q < kDerivatives; ++q) sum[q] += taps.v[tap] * rows[q][i + tap][j];
    const int64_t at = tile.image + (int64_t(row) * s.w + column) * s.c;
    const float slope = scale * (sum[0] + 2 * y[at] * sum[1] + t[at] * sum[2]);
    dy[at] = accumulate ? dy[at] + slope : slope;
  }
}

// loss[0] = or += the partial sums' total times `scale`.
DOPPEL_GLOBAL((kThreads), dssim_mean, float* loss, const double* partial, int64_t parts, double scale,
              bool accumulate) {
  wait_for_earlier_kernels();
  double sum = 0;
  for (int64_t i = threadIdx.x; i < parts; i += kThreads) sum += partial[i];
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) loss[0] = float((accumulate ? double(loss[0]) : 0) + sum * scale);
}

// ---- launchers ------------------------------------------------------------------------------------------------------

Sizes sizes_of(const LossShape& shape, const Dssim& d) {
  return {shape.h,     shape.w,    shape.c, shape.h - d.window + 1, shape.w - d.window + 1, int64_t(shape.n) * shape.c,
          d.k1 * d.k1, d.k2 * d.k2};
}
// Blocks of dssim_forward, each of which leaves a partial sum.
int64_t parts_of(const Sizes& s) {
  return s.planes * Tiling(s.out_w, s.out_h).of_plane();
}
Geometry geometry(const Sizes& s, const Tiling& t) {
  return {unsigned(s.planes * t.of_plane()), kThreads};
}

// One window of `scales`; all but the first add to the loss.
template <int Window>
void launch_dssim(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
                  const Dssim& d, int scales, bool first, float weight, bool accumulate, void* workspace,
                  Stream stream) {
  const Sizes s = sizes_of(shape, d);
  Taps taps{};
  dssim_taps(taps.v, d);
  const int64_t parts = parts_of(s);
  const double mean = 0.5 / double(s.map()) / scales;
  double* partial = static_cast<double*>(workspace);
  float* derivatives = reinterpret_cast<float*>(partial + parts);
  DOPPEL_KERNEL(dssim_forward<Window>)
      .launch(geometry(s, {s.out_w, s.out_h}), partial, derivatives, y, t, mask, shape, s, taps, stream);
  DOPPEL_KERNEL(dssim_backward<Window>)
      .launch(geometry(s, {s.w, s.h}), dy, derivatives, y, t, s, taps, float(-mean * double(weight)),
              accumulate || !first, stream);
  DOPPEL_KERNEL(dssim_mean).launch({1, kThreads}, loss, partial, parts, mean, !first, stream);
}

// Calls body(std::integral_constant<int, window>).
template <int Window = 3, typename Body>
void with_window(int window, Body&& body) {
  if constexpr (Window <= kMaxDssimWindow) {
    if (window == Window) return body(std::integral_constant<int, Window>{});
    with_window<Window + 2>(window, body);
  }
}

}  // namespace

size_t dssim_workspace(const LossShape& shape, const DssimScales& scales, Stream) {
  size_t bytes = 0;
  for (int i = 0; i < scales.count; ++i) {
    const Sizes s = sizes_of(shape, scales.scale[i]);
    bytes = std::max(bytes, size_t(parts_of(s)) * sizeof(double) + size_t(s.map()) * kDerivatives * sizeof(float));
  }
  return bytes;
}

void dssim_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
                const DssimScales& scales, float weight, bool accumulate, void* workspace, Stream stream) {
  for (int i = 0; i < scales.count; ++i)
    with_window(scales.scale[i].window, [&]<int Window>(std::integral_constant<int, Window>) {
      launch_dssim<Window>(loss, dy, y, t, mask, shape, scales.scale[i], scales.count, i == 0, weight, accumulate,
                           workspace, stream);
    });
}

}  // namespace doppel::DOPPEL_BACKEND
