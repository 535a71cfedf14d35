// What the launchers of the ends on tensor cores decide from a shape, for them and for bench/roofline_launches.cc:
// which kernel takes it, the rectangles of pixels, blocks, shared memory. Private to kernels/conv2d_ends*.cu.
#pragma once

#include <algorithm>

#include "kernels/conv2d.h"

namespace doppel {

constexpr int kMostFew = 4;  // channels of an end

DOPPEL_BOTH inline int min_of(int a, int b) {
  return a < b ? a : b;
}

// The convolution whose wgrad is that of `v` with x and dz in each other's place, and whose fprop is the dgrad of `v`.
// For stride 1, with r' = R - 1 - r and pad' = R - 1 - pad,
//   dw[k, r, s, c] = sum over pixels (i, j) of x of  x[i, j, c] dz[i + r' - pad_top', j + s' - pad_left', k]
//   dx[i, j, c]    = sum over r', s', k of            w[k, r, s, c] dz[i + r' - pad_top', j + s' - pad_left', k]
// are a convolution from dz's K channels to x's C, with the weight [c, r', s', k].
inline Conv2d mirrored(const Conv2d& v) {
  Conv2d m = v;
  m.h = v.out_h(), m.w = v.out_w(), m.c = v.k, m.k = v.c;
  m.pad_top = v.r - 1 - v.pad_top, m.pad_bottom = v.r - 1 - v.pad_bottom;
  m.pad_left = v.s - 1 - v.pad_left, m.pad_right = v.s - 1 - v.pad_right;
  return m;
}

// To at most 4 channels: dgrad and wgrad are the mirror's fprop and wgrad.
inline bool few_outputs(const Conv2d& v) {
  return v.k <= kMostFew && v.k < v.c && v.stride == 1;
}

// The pixels of x under a rectangle of output pixels, as they lie in shared memory: each 4 channels, 8 bytes.
struct Patch {
  int rows, width, pitch;  // pixels; from a row to the next
  unsigned reciprocal;     // of width, times 2^20, rounded up

  DOPPEL_BOTH int pixels() const { return rows * width; }
  // i / width for i < pixels(), which no card has an instruction for. Exact for all patches of these kernels
  // (tests/kernels/test_conv2d_mma_banks.cc).
  DOPPEL_BOTH int row_of(int i) const { return int(unsigned(i) * reciprocal >> 20); }
};
inline Patch patch_of(int rows, int width, int pitch) {
  return {rows, width, pitch, (1u << 20) / unsigned(width) + 1};
}

// ---- fprop from at most 4 channels ----------------------------------------------------------------------------------

// A block of 8 warps takes rectangles of 8 x 32 output pixels, a warp a row of one, and up to 128 output channels. A
// step of its products is 16 deep: 4 taps of 4 channels.
struct FewInputs {
  static constexpr int kThreads = 256, kRows = 8, kColumns = 32, kTaps = 4;
  static constexpr int kMostChannels = 128;
  static constexpr int kStagedPixels = 16, kStagedPitch = 144;  // results of a warp on their way out; a pixel's bytes

  Patch patch;
  int steps;         // of 4 taps
  int round;         // channels that a warp multiplies at a time: 32 or 64
  int channels;      // of a block: rounds
  int across, down;  // rectangles of a picture

  explicit FewInputs(const Conv2d& v)
      : steps((v.r * v.s + kTaps - 1) / kTaps),
        round(v.k <= 32 ? 32 : 64),
        channels(v.k <= round ? round : kMostChannels),
        across((v.out_w() + kColumns - 1) / kColumns),
        down((v.out_h() + kRows - 1) / kRows) {
    const int width = (kColumns - 1) * v.stride + v.s;
    patch = patch_of((kRows - 1) * v.stride + v.r, width, patch_pitch(width, v));
  }
  // A warp reads 8 pixels' pairs of channels of two taps, that follow each other, at a time. Where these lie in two
  // rows of the patch, such a pitch puts the one behind the other, or between, in other banks
  // (tests/kernels/test_conv2d_mma_banks.cc).
  static int patch_pitch(int width, const Conv2d& v) {
    return v.stride == 1 ? width + (v.s + 7 - width % 16 + 16) % 16 : width | 1;
  }
  // Zeros that the taps behind the last see instead of pixels: as many as a lane's pixels are apart.
  DOPPEL_BOTH int zeros(int stride) const { return (kColumns - 8) * stride + 1; }
  DOPPEL_BOTH size_t weight_bytes() const { return size_t(steps) * size_t(channels) * kTaps * 8; }
  size_t patch_bytes(const Conv2d& v) const {
    return (size_t(patch.rows) * size_t(patch.pitch) + size_t(zeros(v.stride))) * 8;
  }
  size_t shared(const Conv2d& v) const {
    return weight_bytes() + size_t(kThreads / 32 * kStagedPixels * kStagedPitch) + size_t(channels) * 4 +
           size_t(steps) * 32 + patch_bytes(v);
  }
  int rectangles(const Conv2d& v) const { return v.n * across * down; }
  int channel_tiles(const Conv2d& v) const { return (v.k + channels - 1) / channels; }
  // Blocks that share the rectangles, of each tile of channels and each group: in all two for each multiprocessor,
  // where there are as many rectangles.
  int blocks(const Conv2d& v, int multiprocessors) const {
    return std::min(rectangles(v), std::max(1, 2 * multiprocessors / (channel_tiles(v) * v.groups)));
  }
};

// ---- wgrad from at most 4 channels ----------------------------------------------------------------------------------

// A block of 8 warps takes 64 output channels and a range of the rectangles of 8 x 16 output pixels; a row of one is a
// step of 16. Columns of the products come in tiles of 8, two neighbouring taps of 4 channels. Two warps have 32
// channels each, and four the tiles: where these are few, two or all of the four have the same ones, of other rows.
struct FewInputsWgrad {
  static constexpr int kThreads = 256, kRows = 8, kColumns = 16, kPixels = kRows * kColumns;
  static constexpr int kChannels = 64, kRoles = 4, kMostTiles = kRoles * 8;
  static constexpr int kDzPitch = kChannels * 2 + 16, kDzBytes = kPixels * kDzPitch;  // a pixel; a rectangle
  static constexpr int kMostSplits = 128, kMostBlocks = 256, kLeastRectangles = 4;

  Patch patch;
  int tap_pairs, tiles;  // of a filter row; in all
  int tap_groups;        // of warps with tiles of their own: 1, 2 or 4
  int pairs;             // of tiles, of a warp: 1, 3 or 4
  int copy_bytes;        // from a pixel to itself in the copy that is shifted (stride 1)
  int patch_bytes;       // with that copy
  int across, down, splits;

  explicit FewInputsWgrad(const Conv2d& v)
      : tap_pairs((v.s + 1) / 2),
        tiles(v.r * tap_pairs),
        tap_groups(tiles <= 8    ? 1
                   : tiles <= 16 ? 2
                                 : 4),
        pairs(tiles <= 2   ? 1
              : tiles <= 6 ? 3
                           : 4),
        across((v.out_w() + kColumns - 1) / kColumns),
        down((v.out_h() + kRows - 1) / kRows) {
    const int width = (kColumns - 1) * v.stride + v.s + 1;
    patch = patch_of((kRows - 1) * v.stride + v.r, width, (width + 1) / 2 * 2);
    // The copy begins in the other half of a line of banks: ldmatrix reads four rows of each.
    copy_bytes = v.stride == 1 ? (patch.rows * patch.pitch * 8 + 63) / 128 * 128 + 64 : 0;
    patch_bytes = (copy_bytes + patch.rows * patch.pitch * 8 + 127) / 128 * 128;
    const int channel_tiles = (v.k + kChannels - 1) / kChannels;
    splits = std::max(1, std::min({kMostSplits, kMostBlocks / channel_tiles, rectangles(v) / kLeastRectangles}));
  }
  DOPPEL_BOTH int rectangles(const Conv2d& v) const { return v.n * across * down; }
  size_t shared() const { return 2 * size_t(kDzBytes) + 2 * size_t(patch_bytes); }
};

// Whether one pixel's taps fit the kernels from few channels. All that do fit a block's shared memory too
// (tests/kernels/test_conv2d_mma_banks.cc).
inline bool takes_few_inputs(const Conv2d& v) {
  return v.type == DType::bf16 && v.c <= kMostFew && v.r * ((v.s + 1) / 2) <= FewInputsWgrad::kMostTiles;
}

// ---- fprop to at most 4 channels ------------------------------------------------------------------------------------

// A warp has a strip of 16 columns of x and a chunk of up to 64 channels; a block of 4 warps as many strips as chunks
// leave, and a band of output rows.
struct FewOutputs {
  static constexpr int kThreads = 128, kWarps = kThreads / 32, kStrip = 16;
  static constexpr int kRows = 16;      // of a product: (s, k)
  static constexpr int kChunk = 64;     // channels, at most
  static constexpr int kLeastRows = 8;  // of outputs, for a band to be worth what it reads above and below

  int halves;          // 32 channels each, of a chunk
  int chunks, strips;  // 1, 2 or 4 of the first; warps / chunks
  int pitch;           // floats from a row of parts to the next
  int segments;        // of columns
  int bands, rows;     // of output rows, and rows of one

  FewOutputs(const Conv2d& v, int multiprocessors) : halves(v.c <= 32 ? 1 : 2) {
    chunks = v.c <= kChunk ? 1 : v.c <= 2 * kChunk ? 2 : 4;
    strips = kWarps / chunks;
    // Lanes read an output's channels, neighbours in y, pitch apart: 3 times 11 columns lie in different banks.
    const int width = span() + 2 * (v.s - 1);
    pitch = width + (22 - width % 32 + 32) % 32;
    const int rest = v.out_w() - first_outputs(v);
    segments = v.w <= span() || rest <= 0 ? 1 : 1 + std::max(1, (rest - v.pad_right + inner(v) - 1) / inner(v));
    const int most = (v.out_h() + kLeastRows - 1) / kLeastRows;
    const int strands = v.n * segments * v.groups;  // two bands for each multiprocessor, or nearly
    bands = std::clamp((2 * multiprocessors + strands / 2) / strands, 1, most);
    rows = (v.out_h() + bands - 1) / bands;
    bands = (v.out_h() + rows - 1) / rows;
  }
  // Rows of parts in shared memory: whole turns of the R that are under way.
  static constexpr int batch(int r) { return r == 1 ? 4 : r == 3 ? 6 : 5; }
  DOPPEL_BOTH int span() const { return strips * kStrip; }
  // Outputs of a segment between others, and of the first: those whose columns of x it has.
  DOPPEL_BOTH int inner(const Conv2d& v) const { return span() - v.s + 1; }
  DOPPEL_BOTH int first_outputs(const Conv2d& v) const {
    return v.w <= span() ? v.out_w() : min_of(v.out_w(), inner(v) + v.pad_left);
  }
  struct Segment {
    int j;           // first column of x
    int q, outputs;  // first column of y, and how many
  };
  DOPPEL_BOTH Segment segment(const Conv2d& v, int i) const {
    const int q = i == 0 ? 0 : first_outputs(v) + (i - 1) * inner(v);
    const int outputs = i == segments - 1 ? v.out_w() - q : i == 0 ? first_outputs(v) : inner(v);
    return {i == 0 ? 0 : q - v.pad_left, q, outputs};
  }
  size_t shared(const Conv2d& v) const { return size_t(chunks * batch(v.r) * kRows * pitch) * 4; }
  int64_t blocks(const Conv2d& v) const { return int64_t(v.n) * bands * segments; }
};

// Of pointers at multiples of 16 bytes.
inline bool takes_few_outputs_mma(const Conv2d& v) {
  return v.type == DType::bf16 && few_outputs(v) && v.c % 8 == 0 && v.c <= FewOutputs::kWarps * FewOutputs::kChunk &&
         (v.r == 1 || v.r == 3 || v.r == 5) && v.s <= 5 && v.s * v.k <= FewOutputs::kRows && v.weight_stride % 8 == 0;
}

}  // namespace doppel
