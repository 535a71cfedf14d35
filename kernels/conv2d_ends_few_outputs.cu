// To at most 4 channels on tensor cores: fprop of a last layer. A product of x gathered with weights would have 3
// columns where tensor cores want 8, and read each pixel of x 25 times. So first every pixel of x is multiplied with
// all R S K weights of its channels, 75 columns for 5x5 and 3 channels, and then each output adds the products that
// belong to it:
//
//   product[i, j, r, s, k] = sum over c of x[i, j, c] w[k, r, s, c]
//   z[p, q, k]             = b[k] + sum over r, s of product[p + r - pad_top, q + s - pad_left, r, s, k]
#include "kernels/conv2d_ends_mma.h"
#include "kernels/conv2d_output.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

using Eight = Vector<Bf16, 8>;

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;
constexpr int kTileRows = 8, kTileColumns = 16;  // of outputs, per block
constexpr int kPatch = 32 * kWarps;              // pixels of x under them, at most: 32 a warp
constexpr int kColumns = 80;                     // R S K, at most
constexpr int kChannels = 64;                    // of x at a time
constexpr int kPitch = kChannels + kRowPadding, kEights = kPitch / 8;
constexpr int kProductPitch = kColumns + 1;  // odd: neighbouring pixels' products lie in different banks

DOPPEL_BOTH int patch_width(const Conv2d& conv) {
  return kTileColumns + conv.s - 1;
}
DOPPEL_BOTH int patch_pixels(const Conv2d& conv) {
  return (kTileRows + conv.r - 1) * patch_width(conv);
}

// ---- kernels --------------------------------------------------------------------------------------------------------

// Channels c0 .. c0 + 63 of the patch and of the weights, c is a multiple of 8:
//   patch[pixel][channel]    weights[(r S + s) K + k][channel]
__device__ __forceinline__ void stage(Eight* patch, Eight* weights, const Bf16* x, const Bf16* w, const Conv2d& conv,
                                      int n, int top, int left, int c0) {
  constexpr int kPerRow = kChannels / 8;
  const int width = patch_width(conv), taps = conv.r * conv.s;
  for (int i = int(threadIdx.x); i < (kPatch + kColumns) * kPerRow; i += kThreads) {
    const int row = i / kPerRow, c = c0 + i % kPerRow * 8, column = row - kPatch;
    Eight v{};
    if (row < kPatch) {
      const int h = top + row / width, q = left + row % width;
      if (row < patch_pixels(conv) && h >= 0 && h < conv.h && q >= 0 && q < conv.w && c < conv.c)
        v = load_vector<Eight>(x + (int64_t(n * conv.h + h) * conv.w + q) * conv.c + c);
      store_vector(&patch[row * kEights + i % kPerRow], v);
    } else {
      if (column < taps * conv.k && c < conv.c)
        v = load_vector<Eight>(w + (int64_t(column % conv.k) * taps + column / conv.k) * conv.c + c);
      store_vector(&weights[column * kEights + i % kPerRow], v);
    }
  }
}

// y of 8 x 16 pixels; blockIdx: tile, group. Dynamic shared memory: patch and weights, and when they have been used,
// product[pixel][column].
DOPPEL_GLOBAL((kThreads), products_kernel, void* y, const Bf16* x, const Bf16* w, const float* b, Conv2d conv,
              Epilogue epilogue) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  const int across = (conv.out_w() + kTileColumns - 1) / kTileColumns;
  const int down = (conv.out_h() + kTileRows - 1) / kTileRows, block = int(blockIdx.x), n = block / (across * down);
  const int p0 = block / across % down * kTileRows, q0 = block % across * kTileColumns;
  const int pixels = patch_pixels(conv), width = patch_width(conv), first = 32 * warp();
  const int64_t group = blockIdx.y;
  x += group * conv.in_elements();
  w += group * conv.weight_stride;
  b += group * conv.bias_stride;
  Eight* const patch = reinterpret_cast<Eight*>(bytes);
  Eight* const weights = patch + kPatch * kEights;

  float sums[2][kColumns / 8][4] = {};
  for (int c0 = 0; c0 < conv.c; c0 += kChannels) {
    stage(patch, weights, x, w, conv, n, p0 - conv.pad_top, q0 - conv.pad_left, c0);
    __syncthreads();
    if (first < pixels)  // else this warp has no pixel of the patch
#pragma unroll
      for (int d = 0; d < kChannels; d += 16) {
        uint32_t rows[2][4];
#pragma unroll
        for (int i = 0; i < 2; ++i) load_fragment(rows[i], patch[(first + 16 * i) * kEights + d / 8].v, kPitch);
#pragma unroll
        for (int j = 0; j < kColumns / 8; j += 2) {
          uint32_t columns[4];
          load_fragment(columns, weights[8 * j * kEights + d / 8].v, kPitch);
#pragma unroll
          for (int i = 0; i < 2; ++i) multiply_pair(sums[i][j], sums[i][j + 1], rows[i], columns);
        }
      }
    __syncthreads();
  }

  float* const product = reinterpret_cast<float*>(bytes);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int pixel = first + 8 * i + lane() / 4;
    if (pixel >= pixels) continue;
#pragma unroll
    for (int j = 0; j < kColumns / 8; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        product[pixel * kProductPitch + 8 * j + 2 * (lane() % 4) + e] = sums[i / 2][j][i % 2 * 2 + e];
  }
  __syncthreads();

  for (int i = int(threadIdx.x); i < kTileRows * kTileColumns * conv.k; i += kThreads) {
    const int column = i % kTileColumns, row = i / kTileColumns % kTileRows, k = i / (kTileColumns * kTileRows);
    if (p0 + row >= conv.out_h() || q0 + column >= conv.out_w()) continue;
    float z = 0;
    for (int r = 0; r < conv.r; ++r)
      for (int s = 0; s < conv.s; ++s)
        z += product[((row + r) * width + column + s) * kProductPitch + (r * conv.s + s) * conv.k + k];
    store_output(y, group * conv.out_elements() + output_offset(conv, epilogue.shuffle, n, p0 + row, q0 + column, k),
                 finish_output(z + b[k], epilogue), conv.out_type);
  }
}

}  // namespace

// ---- launchers ------------------------------------------------------------------------------------------------------

bool takes_few_outputs(const Conv2d& conv, const void* x, const void* w) {
  return conv.type == DType::bf16 && conv.k <= kMostFew && conv.c % 8 == 0 && conv.stride == 1 &&
         conv.r * conv.s * conv.k <= kColumns && patch_pixels(conv) <= kPatch && conv.weight_stride % 8 == 0 &&
         is_aligned<Eight>(x) && is_aligned<Eight>(w);
}

void few_outputs_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv,
                       const Epilogue& epilogue, Stream stream) {
  const int64_t tiles = int64_t(blocks_for(conv.out_w(), kTileColumns)) * blocks_for(conv.out_h(), kTileRows);
  const size_t operands = size_t(kPatch + kColumns) * kPitch * sizeof(Bf16);
  const size_t products = size_t(patch_pixels(conv)) * kProductPitch * sizeof(float);
  DOPPEL_KERNEL(products_kernel)
      .launch({dim3(unsigned(tiles * conv.n), unsigned(conv.groups)), kThreads, std::max(operands, products)}, y,
              static_cast<const Bf16*>(x), static_cast<const Bf16*>(w), b, conv, epilogue, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
