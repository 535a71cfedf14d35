// The backward epilogue: dz = unshuffle(dy) f'(saved) and db, the column sums of dz, in one pass over dy and saved
// (bound by memory). A block takes a range of one group's pixels and a strip of channels; its threads stand in lanes
// across the channels, four a lane, and lines down the pixels. The sum of a channel is taken down each line, then over
// the lines, then over the ranges, each in a fixed order.
#include "kernels/conv2d_epilogue.h"

#include "kernels/conv2d_output.h"
#include "kernels/conv2d_splits.h"
#include "kernels/conv2d_tile.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;
constexpr int kMaxLanes = 32;

struct BackwardEpilogue {
  Conv2d conv;
  Epilogue epilogue;
  int lanes;                   // a power of two
  bool neighbours;             // a quad of channels of dz is a quad in y as well
  bool y_vectors, dz_vectors;  // whether quads may be moved as vectors
};

// A group's pixels are divided into this many ranges, by the shapes alone, and each is summed by one block.
DOPPEL_BOTH int ranges_of(const Conv2d& conv) {
  constexpr int64_t kPixels = 64, kMost = 256;
  const int64_t ranges = conv.out_pixels() / kPixels;
  return ranges < 1 ? 1 : ranges > kMost ? int(kMost) : int(ranges);
}

// ---- kernels --------------------------------------------------------------------------------------------------------

// Channels k .. k + 3 of one pixel of z, found in dy or y.
template <typename TOut>
__device__ __forceinline__ Quad load_output(const TOut* y, const BackwardEpilogue& e, int row, int x, int k) {
  const int count = e.conv.k - k;
  if (e.neighbours) return load_quad(y, output_offset(e.conv, e.epilogue.shuffle, 0, row, x, k), 0, count, e.y_vectors);
  Quad quad{};
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (j < count) quad.v[j] = to_float(y[output_offset(e.conv, e.epilogue.shuffle, 0, row, x, k + j)]);
  return quad;
}

template <typename TOut, typename T>
DOPPEL_GLOBAL((kThreads), backward_epilogue_kernel, T* dz, float* partial, const TOut* dy, const TOut* saved,
              BackwardEpilogue e) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED(Quad, sums, [kThreads]);
  const Conv2d& conv = e.conv;
  const int thread = int(threadIdx.x), lane = thread % e.lanes, line = thread / e.lanes, lines = kThreads / e.lanes;
  const int k = (int(blockIdx.y) * e.lanes + lane) * 4, width = conv.out_w();
  const int64_t pixels = conv.out_pixels(), group = blockIdx.z;
  const int begin = int(pixels * blockIdx.x / gridDim.x), end = int(pixels * (blockIdx.x + 1) / gridDim.x);
  dz += group * pixels * conv.k;
  dy += group * pixels * conv.k;
  if (e.epilogue.activation != Activation::none) saved += group * pixels * conv.k;
  Quad sum{};
  if (k < conv.k)
    for (int pixel = begin + line; pixel < end; pixel += lines) {
      const int row = pixel / width, x = pixel % width;
      Quad d = load_output(dy, e, row, x, k), from{};
      if (e.epilogue.activation != Activation::none) from = load_output(saved, e, row, x, k);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        d.v[j] *= activation_derivative(e.epilogue.activation, from.v[j], e.epilogue.slope);
        sum.v[j] += d.v[j];
      }
      T* const out = dz + int64_t(pixel) * conv.k + k;
      if (e.dz_vectors) {
        store_vector(out, Vector<T, 4>{{from_float<T>(d.v[0]), from_float<T>(d.v[1]), from_float<T>(d.v[2]),
                                        from_float<T>(d.v[3])}});
      } else {
#pragma unroll
        for (int j = 0; j < 4; ++j)
          if (k + j < conv.k) out[j] = from_float<T>(d.v[j]);
      }
    }
  store_vector(&sums[thread], sum);
  __syncthreads();
  if (line > 0) return;
  for (int other = 1; other < lines; ++other) {
    const Quad add = load_vector<Quad>(&sums[other * e.lanes + lane]);
#pragma unroll
    for (int j = 0; j < 4; ++j) sum.v[j] += add.v[j];
  }
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (k + j < conv.k) partial[(group * gridDim.x + blockIdx.x) * conv.k + k + j] = sum.v[j];
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <typename TOut, typename T>
void launch(void* dz, float* db, const void* dy, const void* saved, const Conv2d& conv, const Epilogue& epilogue,
            void* workspace, Stream stream) {
  BackwardEpilogue e{conv, epilogue, 1, output_vector(conv, epilogue.shuffle) == 4 || !epilogue.shuffle, false, false};
  while (e.lanes < kMaxLanes && e.lanes * 4 < conv.k) e.lanes *= 2;
  e.y_vectors = output_vector(conv, epilogue.shuffle) == 4 && is_aligned<Vector<TOut, 4>>(dy) &&
                is_aligned<Vector<TOut, 4>>(saved);
  e.dz_vectors = conv.k % 4 == 0 && is_aligned<Vector<T, 4>>(dz);
  float* partial = static_cast<float*>(workspace);
  const int ranges = ranges_of(conv);
  DOPPEL_KERNEL(backward_epilogue_kernel<TOut, T>)
      .launch({dim3(unsigned(ranges), blocks_for(conv.k, 4 * e.lanes), unsigned(conv.groups)), kThreads},
              static_cast<T*>(dz), partial, static_cast<const TOut*>(dy), static_cast<const TOut*>(saved), e, stream);
  add_splits(db, DType::f32, partial, conv.k, ranges, conv.groups, conv.bias_stride, stream);
}

}  // namespace

size_t epilogue_workspace(const Conv2d& conv) {
  return size_t(conv.groups) * size_t(ranges_of(conv)) * size_t(conv.k) * sizeof(float);
}

void launch_backward_epilogue(void* dz, float* db, const void* dy, const void* saved, const Conv2d& conv,
                              const Epilogue& epilogue, void* workspace, Stream stream) {
  const bool out_bf16 = conv.out_type == DType::bf16, bf16 = conv.type == DType::bf16;
  const auto with = out_bf16 ? (bf16 ? launch<Bf16, Bf16> : launch<Bf16, float>)
                             : (bf16 ? launch<float, Bf16> : launch<float, float>);
  with(dz, db, dy, saved, conv, epilogue, workspace, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
