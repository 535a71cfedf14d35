// To at most 4 channels on tensor cores: fprop of a last layer. A product of x gathered with weights would have 3
// columns where tensor cores want 8, and read each pixel of x 25 times. So only the sum over filter rows and channels
// is made of products, for each column of the filter by itself, and an output adds S of these:
//
//   part[p, j, (s, k)] = sum over r, c of x[p + r - pad_top, j, c] w[k, r, s, c]      5x5 and 3 channels: 15 rows
//   z[p, q, k]         = b[k] + sum over s of part[p, q + s - pad_left, (s, k)]       of 16
//
// A warp has 16 columns of the picture and 64 channels, goes down its rows, and keeps the weights of its channels in
// registers. A row of x is read once, straight from memory to registers: in a product that has the pixels as columns a
// lane's two registers are neighbouring channels of one pixel. It is multiplied with all R rows of the filter, for the
// R rows of parts that are under way:
//
//   row i of x      r = 0      r = 1      ..      r = R - 1
//   goes into    part[i]    part[i - 1]   ..   part[i - R + 1], then complete: it leaves through shared memory
#include "kernels/conv2d_ends_mma.h"
#include "kernels/conv2d_output.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = FewOutputs::kThreads, kStrip = FewOutputs::kStrip, kRows = FewOutputs::kRows;
constexpr int kPixels = 8, kTiles = kStrip / kPixels;  // of a product
constexpr int kMostS = 5;

// Rows of parts that meet in shared memory at a time.
constexpr int batch_of(int r) {
  return FewOutputs::batch(r);
}

// What a lane has of a row of x: of pixels g and 8 + g of the strip channels 8 t .. and 32 + 8 t .. of its warp's.
template <int Halves>
struct Pixels {
  uint4 v[kTiles][Halves];
};

// ---- kernels --------------------------------------------------------------------------------------------------------

// This warp's weights: for each filter row and 16 channels the [16, 16] of A whose rows are (s, k).
template <int R, int Halves>
__device__ __forceinline__ void load_weights(uint32_t (&a)[R][2 * Halves][4], const Bf16* w, const Conv2d& conv,
                                             int c0) {
#pragma unroll
  for (int side = 0; side < 2; ++side) {
    const int row = lane() / 4 + 8 * side, s = row / conv.k, k = row % conv.k;
#pragma unroll
    for (int r = 0; r < R; ++r)
#pragma unroll
      for (int half = 0; half < Halves; ++half) {
        const int c = c0 + 32 * half + lane() % 4 * 8;
        uint4 v = make_uint4(0, 0, 0, 0);
        if (s < conv.s && c < conv.c) v = load_vector<uint4>(w + ((int64_t(k) * R + r) * conv.s + s) * conv.c + c);
        a[r][2 * half][side] = v.x, a[r][2 * half][side + 2] = v.y;
        a[r][2 * half + 1][side] = v.z, a[r][2 * half + 1][side + 2] = v.w;
      }
  }
}

// Each output of `rows` rows from p on: of every part's columns, of all chunks of channels.
template <int R>
__device__ __forceinline__ void add_parts(void* y, int64_t first, const float* parts, const float* b,
                                          const Conv2d& conv, const Epilogue& epilogue, const FewOutputs& plan, int n,
                                          int p, int rows, const FewOutputs::Segment& segment) {
  const int row_step = kRows * plan.pitch, chunk_step = batch_of(R) * row_step;
  const int64_t line = int64_t(conv.out_w()) * conv.k;  // the shuffle puts a row's outputs into two neighbouring ones
#pragma unroll 1
  for (int i = int(threadIdx.x); i < segment.outputs * conv.k; i += kThreads) {
    const int q = i / conv.k, k = i - q * conv.k;
    const float* from = parts + k * plan.pitch + q + segment.q - conv.pad_left - segment.j + conv.s - 1;
    int64_t to = first + output_offset(conv, epilogue.shuffle, n, p, segment.q + q, k);
    const float bias = b[k];
#pragma unroll 1
    for (int row = 0; row < rows; ++row) {
      float z = bias;
#pragma unroll 1
      for (int chunk = 0; chunk < plan.chunks; ++chunk)
#pragma unroll
        for (int s = 0; s < kMostS; ++s)
          if (s < conv.s) z += from[chunk * chunk_step + s * (conv.k * plan.pitch + 1)];
      store_output(y, to, finish_output(z, epilogue), conv.out_type);
      from += row_step;
      to += line;
    }
  }
}

// blockIdx: picture, band of rows, segment of columns; group. Dynamic shared memory:
//   parts[chunk of channels][row of a batch][(s, k)][column]
template <int R, int Halves>
DOPPEL_GLOBAL((kThreads, R == 5 ? 2 : 3), few_outputs_mma_kernel, void* y, const Bf16* x, const Bf16* w, const float* b,
              Conv2d conv, Epilogue epilogue, FewOutputs plan) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED_DYNAMIC(bytes);
  constexpr int kBatch = batch_of(R);
  float* const parts = reinterpret_cast<float*>(bytes);
  const int64_t group = blockIdx.y;
  x += group * conv.in_elements();
  w += group * conv.weight_stride;
  b += group * conv.bias_stride;
  const int block = int(blockIdx.x), n = block / (plan.segments * plan.bands);
  const int p0 = block / plan.segments % plan.bands * plan.rows, p1 = min_of(p0 + plan.rows, conv.out_h());
  const FewOutputs::Segment segment = plan.segment(conv, block % plan.segments);
  const int strip = warp() % plan.strips, chunk = warp() / plan.strips, c0 = chunk * 32 * Halves;

  // What is left and right of the segment's columns stays zero.
  for (int i = int(threadIdx.x); i < plan.chunks * kBatch * kRows * plan.pitch; i += kThreads) parts[i] = 0;

  uint32_t a[R][2 * Halves][4];
  load_weights<R, Halves>(a, w, conv, c0);

  const int column = segment.j + strip * kStrip + lane() / 4, channel = c0 + lane() % 4 * 8;
  const int64_t line = int64_t(conv.w) * conv.c;
  const int top = p0 - conv.pad_top, lines = p1 - p0 + R - 1;  // of x, from `top` on
  const Bf16* from = x + (int64_t(n) * conv.h + top) * line + int64_t(column) * conv.c + channel;
  const auto load = [&](Pixels<Halves>& to, int i) {
    const bool some = i < lines && unsigned(top + i) < unsigned(conv.h);
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
      for (int half = 0; half < Halves; ++half) {
        to.v[tile][half] = make_uint4(0, 0, 0, 0);
        if (some && column + tile * kPixels < conv.w && channel + half * 32 < conv.c)
          to.v[tile][half] = load_vector<uint4>(from + tile * kPixels * conv.c + half * 32);
      }
    from += line;
  };

  float sums[R][kTiles][4] = {};
  Pixels<Halves> pixels[2];
  load(pixels[0], 0);
  __syncthreads();
  float* const mine =
      parts + (chunk * kBatch * kRows + lane() / 4) * plan.pitch + conv.s - 1 + strip * kStrip + lane() % 4 * 2;
  // Batches in pairs, so that it is known which of the two rows of pixels each of them uses.
#pragma unroll 1
  for (int base = 0; base < lines; base += 2 * kBatch) {
#pragma unroll
    for (int batch = 0; batch < 2; ++batch) {
      const int start = base + batch * kBatch;
      if (start >= lines) break;
#pragma unroll
      for (int u = 0; u < kBatch; ++u) {
        const int i = start + u;
        load(pixels[(batch * kBatch + u + 1) % 2], i + 1);
        const Pixels<Halves>& row = pixels[(batch * kBatch + u) % 2];
        if (i < lines) {
#pragma unroll
          for (int half = 0; half < Halves; ++half)
#pragma unroll
            for (int tile = 0; tile < kTiles; ++tile) {
              const uint4& v = row.v[tile][half];
              const uint32_t b0[2] = {v.x, v.y}, b1[2] = {v.z, v.w};
#pragma unroll
              for (int r = 0; r < R; ++r) {
                float(&sum)[4] = sums[(u + R - r) % R][tile];
                mma_m16n8k16_bf16(sum, a[r][2 * half], b0, sum);
                mma_m16n8k16_bf16(sum, a[r][2 * half + 1], b1, sum);
              }
            }
        }
        // The oldest part is complete; what takes its place is that of the next row.
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile) {
          float(&sum)[4] = sums[(u + 1) % R][tile];
          float* const to = mine + u * kRows * plan.pitch + tile * kPixels;
          store_vector(to, make_float2(sum[0], sum[1]));
          store_vector(to + 8 * plan.pitch, make_float2(sum[2], sum[3]));
          sum[0] = sum[1] = sum[2] = sum[3] = 0;
        }
      }
      __syncthreads();
      // Line i of x completes row p0 + i - (R - 1).
      const int skip = start == 0 ? R - 1 : 0, done = min_of(kBatch, lines - start);
      add_parts<R>(y, group * conv.out_elements(), parts + skip * kRows * plan.pitch, b, conv, epilogue, plan, n,
                   p0 + start + skip - (R - 1), done - skip, segment);
      __syncthreads();
    }
  }
}

}  // namespace

// ---- launchers ------------------------------------------------------------------------------------------------------

bool takes_few_outputs(const Conv2d& conv, const void* x, const void* w) {
  return takes_few_outputs_mma(conv) && is_aligned<uint4>(x) && is_aligned<uint4>(w);
}

void few_outputs_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv,
                       const Epilogue& epilogue, Stream stream) {
  const FewOutputs plan(conv, multiprocessors());
  const auto launch = [&]<int R, int Halves>() {
    DOPPEL_KERNEL(few_outputs_mma_kernel<R, Halves>)
        .launch({dim3(unsigned(plan.blocks(conv)), unsigned(conv.groups)), kThreads, plan.shared(conv)}, y,
                static_cast<const Bf16*>(x), static_cast<const Bf16*>(w), b, conv, epilogue, plan, stream);
  };
  const auto launch_rows = [&]<int R>() {
    plan.halves == 1 ? launch.template operator()<R, 1>() : launch.template operator()<R, 2>();
  };
  conv.r == 1 ? launch_rows.operator()<1>() : conv.r == 3 ? launch_rows.operator()<3>() : launch_rows.operator()<5>();
}

}  // namespace doppel::DOPPEL_BACKEND
