// The ends: which kernels take them, fprop to at most 4 channels in fp32 arithmetic, and the mirror.
#include "kernels/conv2d_ends.h"

#include "kernels/conv2d_ends_mma.h"
#include "kernels/conv2d_output.h"
#include "kernels/conv2d_simt.h"
#include "kernels/conv2d_tile.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

// ---- fprop ----------------------------------------------------------------------------------------------------------

// A block makes a tile of pixels 32 wide, all channels of them. Its threads stand on the 32 columns, each with 8 pixels
// of the column below each other, so that each quad of x that a thread reads from shared memory serves R pixels, and
// each quad of weights 8; lanes read neighbouring quads of x and the same ones of w.
constexpr int kThreads = 64, kColumns = 32;
// Pixels of a thread, and rows of a tile. (With 8 of them the kernel of 1x1 spills on sm_120.)
DOPPEL_BOTH constexpr int rows_of(int r) {
  return r == 1 ? 4 : 8;
}
DOPPEL_BOTH constexpr int tile_rows(int r) {
  return kThreads / kColumns * rows_of(r);
}
constexpr int kChunk = 8, kChunkQuads = kChunk / 4;  // channels of x at a time in shared memory
constexpr int64_t kFewestPixels = 64;                // of y, for a tile to be worth while

// Pixels of x under a block's pixels of y.
DOPPEL_BOTH int patch_pixels(const Conv2d& conv) {
  return (tile_rows(conv.r) + conv.r - 1) * (kColumns + conv.s - 1);
}

// Channels c0 .. c0 + 7 of x and w into shared memory:
//   patch[quad of channels][row][column]    weights[quad of channels][s][R][channel of the quad] of the output's
//   channels
template <typename T>
__device__ __forceinline__ void stage(Quad* patch, Quad* weights, const T* x, const T* w, const Conv2d& conv, int n,
                                      int top, int left, int c0, bool vectors) {
  const int thread = int(threadIdx.x), width = kColumns + conv.s - 1, pixels = patch_pixels(conv);
  for (int i = thread; i < kChunkQuads * pixels; i += kThreads) {
    const int quad = i % kChunkQuads, pixel = i / kChunkQuads, c = c0 + 4 * quad;
    const int row = top + pixel / width, column = left + pixel % width;
    const bool inside = row >= 0 && row < conv.h && column >= 0 && column < conv.w;
    const int64_t offset = (int64_t(n * conv.h + row) * conv.w + column) * conv.c + c;
    store_vector(&patch[quad * pixels + pixel], load_quad(x, offset, 0, inside ? conv.c - c : 0, vectors));
  }
  const int taps = conv.r * conv.s;
  for (int i = thread; i < kChunk * taps; i += kThreads) {
    const int c = c0 + i % kChunk, tap = i / kChunk, r = tap / conv.s, s = tap % conv.s;
    Quad quad{};
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (k < conv.k && c < conv.c) quad.v[k] = to_float(w[(int64_t(k) * taps + tap) * conv.c + c]);
    store_vector(&weights[((i % kChunk / 4 * conv.s + s) * conv.r + r) * 4 + i % 4], quad);
  }
}

// One block on a multiprocessor is asked for, and many fit: else the compiler for sm_90 spills to have some more.
template <typename T, int R>
DOPPEL_GLOBAL((kThreads, 1), few_outputs_kernel, void* y, const T* x, const T* w, const float* b, Conv2d conv,
              Epilogue epilogue, bool vectors) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  constexpr int kRows = rows_of(R), kTileRows = tile_rows(R);
  const int across = (conv.out_w() + kColumns - 1) / kColumns, down = (conv.out_h() + kTileRows - 1) / kTileRows;
  const int block = int(blockIdx.x), n = block / (across * down);
  const int p0 = block / across % down * kTileRows, q0 = block % across * kColumns;
  const int width = kColumns + conv.s - 1, pixels = patch_pixels(conv);
  const int64_t group = blockIdx.y;
  x += group * conv.in_elements();
  w += group * conv.weight_stride;
  b += group * conv.bias_stride;
  Quad* const patch = reinterpret_cast<Quad*>(bytes);
  Quad* const weights = patch + kChunkQuads * pixels;

  float sum[kRows][4] = {};
  for (int c0 = 0; c0 < conv.c; c0 += kChunk) {
    if (c0 > 0) __syncthreads();
    stage(patch, weights, x, w, conv, n, p0 - conv.pad_top, q0 - conv.pad_left, c0, vectors);
    __syncthreads();
    for (int quad = 0; quad < kChunkQuads; ++quad)
      for (int s = 0; s < conv.s; ++s) {
        const Quad* const above = patch + quad * pixels + warp() * kRows * width + lane() + s;
        Quad xs[kRows + R - 1];
#pragma unroll
        for (int i = 0; i < kRows + R - 1; ++i) xs[i] = load_vector<Quad>(above + i * width);
#pragma unroll
        for (int r = 0; r < R; ++r)
#pragma unroll
          for (int c = 0; c < 4; ++c) {
            const Quad ws = load_vector<Quad>(&weights[((quad * conv.s + s) * R + r) * 4 + c]);
#pragma unroll
            for (int i = 0; i < kRows; ++i)
#pragma unroll
              for (int k = 0; k < 4; ++k) sum[i][k] += xs[i + r].v[c] * ws.v[k];
          }
      }
  }

  const int q = q0 + lane();
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int p = p0 + warp() * kRows + i;
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (k < conv.k && p < conv.out_h() && q < conv.out_w())
        store_output(y, group * conv.out_elements() + output_offset(conv, epilogue.shuffle, n, p, q, k),
                     finish_output(sum[i][k] + b[k], epilogue), conv.out_type);
  }
}

// ---- mirror ---------------------------------------------------------------------------------------------------------

constexpr int kMirrorThreads = 256;

// dw[k, r, s, c] = mirror[group][c, R - 1 - r, S - 1 - s, k]; one element a thread.
DOPPEL_GLOBAL((kMirrorThreads), mirror_kernel, float* dw, const float* mirror, Conv2d conv) {
  const int64_t i = int64_t(blockIdx.x) * kMirrorThreads + threadIdx.x;
  if (i >= conv.weights()) return;
  const int taps = conv.r * conv.s, c = int(i % conv.c), tap = int(i / conv.c % taps), k = int(i / conv.c / taps);
  mirror += blockIdx.y * conv.weights();
  dw[blockIdx.y * conv.weight_stride + i] = mirror[(int64_t(c) * taps + taps - 1 - tap) * conv.k + k];
}

size_t mirror_bytes(const Conv2d& conv) {
  return (size_t(conv.groups) * size_t(conv.weights()) * sizeof(float) + 63) / 64 * 64;
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <typename T, int R>
void launch_few_outputs(void* y, const void* x, const void* w, const float* b, const Conv2d& conv,
                        const Epilogue& epilogue, Stream stream) {
  const bool vectors = conv.c % 4 == 0 && is_aligned<Vector<T, 4>>(x);
  const int64_t tiles = int64_t(blocks_for(conv.out_w(), kColumns)) * blocks_for(conv.out_h(), tile_rows(R));
  const size_t shared = size_t(kChunkQuads * patch_pixels(conv) + kChunk * conv.r * conv.s) * sizeof(Quad);
  DOPPEL_KERNEL(few_outputs_kernel<T, R>)
      .launch({dim3(unsigned(tiles * conv.n), unsigned(conv.groups)), kThreads, shared}, y, static_cast<const T*>(x),
              static_cast<const T*>(w), b, conv, epilogue, vectors, stream);
}

template <typename T>
void launch_few_outputs(void* y, const void* x, const void* w, const float* b, const Conv2d& conv,
                        const Epilogue& epilogue, Stream stream) {
  const auto launch = conv.r == 1   ? launch_few_outputs<T, 1>
                      : conv.r == 3 ? launch_few_outputs<T, 3>
                                    : launch_few_outputs<T, 5>;
  launch(y, x, w, b, conv, epilogue, stream);
}

// From at most 4 channels on tensor cores, when those to 4 channels below do not take it.
bool few_inputs(const Conv2d& conv) {
  return conv.k > kMostFew && takes_few_inputs(conv);
}

}  // namespace

bool takes_ends_fprop(const Conv2d& conv) {
  return few_inputs(conv) ||
         (few_outputs(conv) && conv.r <= 5 && conv.s <= 5 && int64_t(conv.out_h()) * conv.out_w() >= kFewestPixels);
}
bool takes_ends_dgrad(const Conv2d& conv) {
  return few_outputs(conv) && takes_few_inputs(mirrored(conv));
}
bool takes_ends_wgrad(const Conv2d& conv) {
  return few_inputs(conv) || few_outputs(conv);
}

ConvWorkspace ends_workspace(const Conv2d& conv, const Epilogue&) {
  ConvWorkspace bytes;
  const Conv2d m = few_outputs(conv) ? mirrored(conv) : conv;
  bytes.wgrad = takes_few_inputs(m) ? few_inputs_wgrad_workspace(m) : mirror_bytes(conv) + simt_wgrad_workspace(m);
  return bytes;
}

void ends_fprop(void* y, void* saved, const void* x, const void* w, const float* b, const Conv2d& conv,
                const Epilogue& epilogue, void* workspace, Stream stream) {
  if (saved) {  // z first, and x cos x as a pass of its own
    Epilogue linear = epilogue;
    linear.activation = Activation::none;
    ends_fprop(saved, nullptr, x, w, b, conv, linear, workspace, stream);
    return activation_forward(y, saved, conv.groups * conv.out_elements(), conv.out_type, epilogue.activation, 0,
                              stream);
  }
  if (few_inputs(conv))
    few_inputs_fprop(y, x, w, b, conv, epilogue, false, stream);
  else if (takes_few_outputs(conv, x, w))
    few_outputs_fprop(y, x, w, b, conv, epilogue, stream);
  else if (conv.type == DType::bf16)
    launch_few_outputs<Bf16>(y, x, w, b, conv, epilogue, stream);
  else
    launch_few_outputs<float>(y, x, w, b, conv, epilogue, stream);
}

void ends_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void*, Stream stream) {
  Conv2d m = mirrored(conv);
  m.out_type = conv.type;
  few_inputs_fprop(dx, dz, w, nullptr, m, {}, true, stream);
}

void ends_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  const bool mirror = few_outputs(conv);
  Conv2d m = mirror ? mirrored(conv) : conv;
  if (takes_few_inputs(m)) return few_inputs_wgrad(dw, mirror ? dz : x, mirror ? x : dz, m, mirror, workspace, stream);
  m.weight_stride = conv.weights();  // the mirrors of the groups follow each other
  float* const turned = static_cast<float*>(workspace);
  simt_wgrad(turned, dz, x, m, static_cast<char*>(workspace) + mirror_bytes(conv), stream);
  DOPPEL_KERNEL(mirror_kernel)
      .launch({dim3(blocks_for(conv.weights(), kMirrorThreads), unsigned(conv.groups)), kMirrorThreads}, dw, turned,
              conv, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
