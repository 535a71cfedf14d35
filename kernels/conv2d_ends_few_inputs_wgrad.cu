// From at most 4 channels on tensor cores: wgrad of a first layer, and with the roles changed (mirrored) of a last
// layer. The R S C elements that an output pixel reads, 75 for 5x5 and 3 channels, are few enough
// to lie in shared memory at once, gathered element by element: the products then are one matrix product with that
// depth.
#include "kernels/conv2d_ends_mma.h"
#include "kernels/conv2d_splits.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

using Eight = Vector<Bf16, 8>;

constexpr int kThreads = 128;
constexpr int kMostDepth = 112;  // of R S C, rounded up to 16
constexpr int kChannels = 64;    // of the many, per block
constexpr int kChunk = 64;       // pixels per step of wgrad
constexpr int kChannelPitch = kChannels + kRowPadding;

DOPPEL_BOTH int depth_of(const Conv2d& conv) {
  return conv.r * conv.s * conv.c;
}
DOPPEL_BOTH int padded_depth(const Conv2d& conv) {
  return (depth_of(conv) + 15) / 16 * 16;
}
DOPPEL_BOTH int pitch_of(const Conv2d& conv) {
  return padded_depth(conv) + kRowPadding;
}

// ---- kernels --------------------------------------------------------------------------------------------------------

// Filter rows first, first + step, ... of what output pixel m reads, into row[r S C + e]; 0 outside the picture, for
// pixels behind the last, and, with the first filter row, behind the depth. The elements of a filter row are neighbours
// in x.
__device__ __forceinline__ void gather_pixel(Bf16* row, const Bf16* x, const Conv2d& conv, int m, int first, int step) {
  const bool any = m < conv.out_pixels();
  const int column = m % conv.out_w(), line = m / conv.out_w(), run = conv.s * conv.c;
  const int top = line % conv.out_h() * conv.stride - conv.pad_top, left = column * conv.stride - conv.pad_left;
  const int from = -left * conv.c, to = (conv.w - left) * conv.c;
  for (int r = first; r < conv.r; r += step) {
    const int i = top + r;
    const bool inside = any && i >= 0 && i < conv.h;
    const int64_t offset = (int64_t(line / conv.out_h() * conv.h + i) * conv.w + left) * conv.c;
    for (int e = 0; e < run; ++e) row[r * run + e] = inside && e >= from && e < to ? x[offset + e] : Bf16{};
  }
  if (first == 0)
    for (int e = depth_of(conv); e < padded_depth(conv); ++e) row[e] = Bf16{};
}

// dw of 64 channels k over a range of the pixels, into partial[split] of dw's shape, the next group's first split
// `stride` elements behind; blockIdx: tile of channels, split, group.
// A warp has 16 of the channels and all of the depth.
DOPPEL_GLOBAL((kThreads), few_inputs_wgrad_kernel, float* partial, const Bf16* x, const Bf16* dz, Conv2d conv,
              int splits, int64_t stride, bool vectors) {
  DOPPEL_SHARED(Eight, a, [kChunk][kChannelPitch / 8]);  // [pixel][channel]
  DOPPEL_SHARED_DYNAMIC(bytes);                          // b[pixel][depth]
  Bf16* const b = reinterpret_cast<Bf16*>(bytes);
  const int depth = depth_of(conv), padded = padded_depth(conv), pitch = pitch_of(conv);
  const int thread = int(threadIdx.x), k0 = int(blockIdx.x) * kChannels, split = int(blockIdx.y);
  const int pixels = int(conv.out_pixels());
  const int64_t chunks = (pixels + kChunk - 1) / kChunk, group = blockIdx.z;
  const int begin = int(chunks * split / splits), end = int(chunks * (split + 1) / splits);
  x += group * conv.in_elements();
  dz += group * conv.out_elements();

  float sums[kMostDepth / 8][4] = {};
  for (int chunk = begin; chunk < end; ++chunk) {
    const int m0 = chunk * kChunk;
    gather_pixel(b + thread % kChunk * pitch, x, conv, m0 + thread % kChunk, thread / kChunk, kThreads / kChunk);
    for (int i = thread; i < kChunk * kChannels / 8; i += kThreads) {
      const int row = i / (kChannels / 8), k = k0 + i % (kChannels / 8) * 8;
      const int m = m0 + row;
      const int64_t at = int64_t(m) * conv.k + k;
      Eight v{};
      if (vectors) {
        if (m < pixels && k < conv.k) v = load_vector<Eight>(dz + at);
      } else {
#pragma unroll
        for (int e = 0; e < 8; ++e)
          if (m < pixels && k + e < conv.k) v.v[e] = dz[at + e];
      }
      store_vector(&a[row][i % (kChannels / 8)], v);
    }
    __syncthreads();
#pragma unroll 1  // the sums take half of the registers
    for (int d = 0; d < kChunk; d += 16) {
      uint32_t rows[4];
      load_transposed_fragment(rows, a[d][2 * warp()].v, kChannelPitch);
#pragma unroll
      for (int j = 0; j < kMostDepth / 8; j += 2) {
        if (8 * j >= padded) continue;
        uint32_t columns[4];
        load_transposed_fragment(columns, b + d * pitch + 8 * j, pitch);
        multiply_pair(sums[j], sums[j + 1], rows, columns);
      }
    }
    __syncthreads();
  }

  float* const out = partial + group * stride + split * conv.weights();
#pragma unroll
  for (int j = 0; j < kMostDepth / 8; ++j)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int k = k0 + 16 * warp() + i / 2 * 8 + lane() / 4, e = 8 * j + 2 * (lane() % 4) + i % 2;
      if (k < conv.k && e < depth) out[int64_t(k) * depth + e] = sums[j][i];
    }
}

// ---- launchers ------------------------------------------------------------------------------------------------------

int splits_of(const Conv2d& conv) {
  constexpr int64_t kBlocks = 512, kChunks = 4;
  const int64_t tiles = blocks_for(conv.k, kChannels), chunks = blocks_for(conv.out_pixels(), kChunk);
  return int(std::max<int64_t>(1, std::min(kBlocks / tiles, chunks / kChunks)));
}

}  // namespace

size_t few_inputs_wgrad_workspace(const Conv2d& conv) {
  const int splits = splits_of(conv);
  return splits == 1 ? 0 : size_t(conv.groups) * size_t(splits) * size_t(conv.weights()) * sizeof(float);
}

void few_inputs_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  const int splits = splits_of(conv);
  const bool vectors = conv.k % 8 == 0 && is_aligned<Eight>(dz);
  float* const partial = static_cast<float*>(workspace);
  DOPPEL_KERNEL(few_inputs_wgrad_kernel)
      .launch({dim3(blocks_for(conv.k, kChannels), unsigned(splits), unsigned(conv.groups)), kThreads,
               size_t(kChunk * pitch_of(conv)) * sizeof(Bf16)},
              splits == 1 ? dw : partial, static_cast<const Bf16*>(x), static_cast<const Bf16*>(dz), conv, splits,
              splits == 1 ? conv.weight_stride : splits * conv.weights(), vectors, stream);
  if (splits > 1) add_splits(dw, DType::f32, partial, conv.weights(), splits, conv.groups, conv.weight_stride, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
