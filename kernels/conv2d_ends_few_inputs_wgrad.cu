// From at most 4 channels on tensor cores: wgrad of a first layer, and with the roles changed (mirrored) of a last
// layer. With the pixels as the sum's terms
//
//   dw[k, (r, s, c)] = sum over output pixels m of  dz[m, k]  x[pixel of m through tap (r, s), c]
//
// both operands lie across the sum, and ldmatrix turns them round. It reads rows of 16 bytes at multiples of 16: of dz
// 8 channels of a pixel, of x, whose pixels are padded to 4 channels, two taps that are neighbours in a filter row. The
// last of an odd row comes with one behind it that is not stored. With stride 2 all output pixels find their pairs of
// taps at multiples of 16; with stride 1 every other one does, and the rest in a copy that is shifted by a pixel:
//
//   copy 0    0 1 | 2 3 | 4 5 | ..      taps (0, 1) of output pixel 0, 2, 4 ..
//   copy 1    1 2 | 3 4 | 5 6 | ..                              1, 3, 5 ..
//
// Behind the last row and column of dz a rectangle has zeros, times whatever x a tap finds there: where that is not
// finite, dw of that tap becomes NaN, although it is none of the tap's terms. It cannot be left out of the patch: in
// the rule it is a term of other taps of the same rectangle.
#include "kernels/conv2d_ends_mma.h"
#include "kernels/conv2d_ends_patch.h"
#include "kernels/conv2d_splits.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

using Eight = Vector<Bf16, 8>;
using Plan = FewInputsWgrad;

constexpr int kThreads = Plan::kThreads, kPixels = Plan::kPixels, kPitch = Plan::kDzPitch;
constexpr int kUnits = Plan::kChannels / 8;  // of 8 channels of a pixel of dz

// Pixels of the patch that a thread fetches ahead: all of 5 x 5.
constexpr int ahead(int stride) {
  return stride == 1 ? 1 : 3;
}

// ---- kernels --------------------------------------------------------------------------------------------------------

// dz of a rectangle into to[pixel][channel], zeros where there is none: under way until a wait, `vectors` being set.
__device__ __forceinline__ void copy_dz(unsigned char* to, const Bf16* dz, const Conv2d& conv, const Rectangle& at,
                                        int k0, bool vectors) {
  constexpr int kStep = kThreads / kUnits;  // pixels, whole rows of a rectangle
  static_assert(kStep % Plan::kColumns == 0);
  const int unit = int(threadIdx.x) % kUnits, pixel = int(threadIdx.x) / kUnits, k = k0 + unit * 8;
  const int p = at.p + pixel / Plan::kColumns, q = at.q + pixel % Plan::kColumns;
  const bool inside = q < conv.out_w() && k < conv.k;
  const Bf16* from = dz + ((int64_t(at.n) * conv.out_h() + p) * conv.out_w() + q) * conv.k + k;
  const int64_t step = int64_t(kStep / Plan::kColumns) * conv.out_w() * conv.k;
  to += pixel * kPitch + unit * 16;
  int left = inside ? conv.out_h() - p : 0;  // rows from here on
  if (vectors) {
#pragma unroll
    for (int i = 0; i < kPixels / kStep; ++i, from += step, left -= kStep / Plan::kColumns)
      copy_async<16>(to + i * kStep * kPitch, left > 0 ? from : dz, left > 0 ? 16 : 0);
    return;
  }
#pragma unroll 1
  for (int i = 0; i < kPixels / kStep; ++i, from += step, left -= kStep / Plan::kColumns) {
    Eight v{};
#pragma unroll
    for (int e = 0; e < 8; ++e)
      if (left > 0 && k + e < conv.k) v.v[e] = from[e];
    store_vector(to + i * kStep * kPitch, v);
  }
}

// What a warp has: 32 channels of dz by Pairs times two tiles of 8 columns, of two taps each.
template <int Pairs>
using Sums = float[2][2 * Pairs][4];

// Rows first, first + step, .. of a rectangle. dz, x: this lane's row of 16 bytes in the first row; units: from there
// to each pair of tiles.
template <int Stride, int Pairs>
__device__ __forceinline__ void multiply(Sums<Pairs>& sums, const unsigned char* dz, const unsigned char* x,
                                         const int (&units)[Pairs], int pitch, int first, int step) {
#pragma unroll 1
  for (int row = first; row < Plan::kRows; row += step) {
    uint32_t a[2][4];
#pragma unroll
    for (int i = 0; i < 2; ++i) ldmatrix<4, true>(a[i], dz + row * Plan::kColumns * kPitch + i * 32);
    const unsigned char* const from = x + row * Stride * pitch * 8;
#pragma unroll
    for (int j = 0; j < Pairs; ++j) {
      uint32_t b[4];
      ldmatrix<4, true>(b, from + units[j]);
      const uint32_t b0[2] = {b[0], b[1]}, b1[2] = {b[2], b[3]};
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        mma_m16n8k16_bf16(sums[i][2 * j], a[i], b0, sums[i][2 * j]);
        mma_m16n8k16_bf16(sums[i][2 * j + 1], a[i], b1, sums[i][2 * j + 1]);
      }
    }
  }
}

// dw of 64 channels k over a range of the rectangles, into partial[split] of dw's shape, the next group's first split
// `stride` elements behind; blockIdx: tile of channels, split, group. `mirrored`: as the dw of the convolution whose
// mirror conv is, [C, R, S, K] with R and S reversed.
template <int Stride, int Pairs>
DOPPEL_GLOBAL((kThreads, 2), few_inputs_wgrad_kernel, float* partial, const Bf16* x, const Bf16* dz, Conv2d conv,
              Plan plan, int64_t stride, bool mirrored, bool vectors, bool quads) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED_DYNAMIC(bytes);
  const int k0 = int(blockIdx.x) * Plan::kChannels, split = int(blockIdx.y), pitch = plan.patch.pitch;
  const int64_t group = blockIdx.z;
  const int64_t rectangles = plan.rectangles(conv);
  const int begin = int(rectangles * split / plan.splits), end = int(rectangles * (split + 1) / plan.splits);
  x += group * conv.in_elements();
  dz += group * conv.out_elements();

  // This warp's channels, tiles of taps, and part of a rectangle's rows.
  const int side = warp() % 2, taps = warp() / 2 % plan.tap_groups, part = warp() / 2 / plan.tap_groups;
  const int parts = Plan::kRoles / plan.tap_groups, first_tile = taps * 2 * Pairs;
  int units[Pairs];
#pragma unroll
  for (int j = 0; j < Pairs; ++j) {
    const int tile = min_of(first_tile + 2 * j + lane() / 16, plan.tiles - 1);
    units[j] = (tile / plan.tap_pairs * pitch + tile % plan.tap_pairs * 2) * 8;
  }
  const int column = lane() % 16, from_dz = (lane() / 16 * 8 + lane() % 8) * kPitch + side * 64 + lane() / 8 % 2 * 16;
  const int from_x = Stride == 2 ? column * 16 : column % 2 * plan.copy_bytes + column / 2 * 16;

  unsigned char* const patches = bytes + 2 * Plan::kDzBytes;
  const auto rectangle = [&](int number) {
    return Rectangle(number, plan.across, plan.down, Plan::kRows, Plan::kColumns);
  };
  PatchLoader<kThreads, ahead(Stride)> loader(x, conv, plan.patch, quads);
  Sums<Pairs> sums = {};
  const auto fetch = [&](int number, int stage) {
    const Rectangle at = rectangle(number);
    loader.load(at);
    copy_dz(bytes + stage * Plan::kDzBytes, dz, conv, at, k0, vectors);
    copy_async_commit();
  };
  if (begin < end) fetch(begin, 0);
#pragma unroll 1
  for (int number = begin, stage = 0; number < end; ++number, stage ^= 1) {
    unsigned char* const patch = patches + stage * plan.patch_bytes;
    loader.store([&](int i, int j, const PixelQuad& v) {
      unsigned char* const to = patch + (i * pitch + j) * 8;
      store_vector(to, v);
      if (Stride == 1 && j > 0) store_vector(to + plan.copy_bytes - 8, v);
    });
    copy_async_wait<0>();
    __syncthreads();  // and all have done with the other stage
    if (number + 1 < end) fetch(number + 1, stage ^ 1);
    multiply<Stride, Pairs>(sums, bytes + stage * Plan::kDzBytes + from_dz, patch + from_x, units, pitch, part, parts);
  }

  // The parts of the rows, added in order.
  float* const exchange = reinterpret_cast<float*>(bytes) + (warp() % (2 * plan.tap_groups)) * 16 * Pairs * kWarpSize;
#pragma unroll 1
  for (int other = 1; other < parts; ++other) {
    __syncthreads();
    if (part == other)
#pragma unroll
      for (int i = 0; i < 16 * Pairs; ++i)
        exchange[i * kWarpSize + lane()] = sums[i / (8 * Pairs)][i / 4 % (2 * Pairs)][i % 4];
    __syncthreads();
    if (part == 0)
#pragma unroll
      for (int i = 0; i < 16 * Pairs; ++i)
        sums[i / (8 * Pairs)][i / 4 % (2 * Pairs)][i % 4] += exchange[i * kWarpSize + lane()];
  }
  if (part > 0) return;

  float* const out = partial + group * stride + split * conv.weights();
  const int taps_all = conv.r * conv.s, k = k0 + side * 32 + lane() / 4, c = lane() % 2 * 2;
  const int by_k = mirrored ? 1 : taps_all * conv.c, by_c = mirrored ? taps_all * conv.k : 1;
#pragma unroll
  for (int j = 0; j < 2 * Pairs; ++j) {
    const int tile = first_tile + j, r = tile / plan.tap_pairs, s = tile % plan.tap_pairs * 2 + lane() / 2 % 2;
    if (tile >= plan.tiles || s >= conv.s) continue;
    const int tap = r * conv.s + s;
    float* const to = out + (mirrored ? (taps_all - 1 - tap) * conv.k : tap * conv.c) + int64_t(k) * by_k + c * by_c;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int more = i / 2 * 8;  // channels k
      if (k + more < conv.k && c + i % 2 < conv.c) to[int64_t(more) * by_k + i % 2 * by_c] = sums[i / 4][j][i % 4];
    }
  }
}

}  // namespace

// ---- launchers ------------------------------------------------------------------------------------------------------

size_t few_inputs_wgrad_workspace(const Conv2d& conv) {
  const int splits = Plan(conv).splits;
  return splits == 1 ? 0 : size_t(conv.groups) * size_t(splits) * size_t(conv.weights()) * sizeof(float);
}

void few_inputs_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, bool mirrored, void* workspace,
                      Stream stream) {
  const Plan plan(conv);
  const bool vectors = conv.k % 8 == 0 && is_aligned<Eight>(dz), quads = conv.c == 4 && is_aligned<PixelQuad>(x);
  float* const partial = static_cast<float*>(workspace);
  const dim3 grid(blocks_for(conv.k, Plan::kChannels), unsigned(plan.splits), unsigned(conv.groups));
  const auto launch = [&]<int Stride, int Pairs>() {
    DOPPEL_KERNEL(few_inputs_wgrad_kernel<Stride, Pairs>)
        .launch({grid, kThreads, plan.shared()}, plan.splits == 1 ? dw : partial, static_cast<const Bf16*>(x),
                static_cast<const Bf16*>(dz), conv, plan,
                plan.splits == 1 ? conv.weight_stride : plan.splits * conv.weights(), mirrored, vectors, quads, stream);
  };
  const auto launch_pairs = [&]<int Stride>() {
    plan.pairs == 1   ? launch.template operator()<Stride, 1>()
    : plan.pairs == 3 ? launch.template operator()<Stride, 3>()
                      : launch.template operator()<Stride, 4>();
  };
  conv.stride == 1 ? launch_pairs.operator()<1>() : launch_pairs.operator()<2>();
  if (plan.splits > 1)
    add_splits(dw, DType::f32, partial, conv.weights(), plan.splits, conv.groups, conv.weight_stride, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
