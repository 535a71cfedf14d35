// From at most 4 channels on tensor cores: fprop of a first layer, and with the roles changed (mirrored) dgrad of a
// last layer. The patch of x under a rectangle of output pixels lies in shared memory once, each pixel padded to 4
// channels, and the products read it there: 16 terms of a product are 4 taps of 4 channels, so that the two neighbours
// that a register of a fragment holds are two channels of one pixel, wherever a tap lies.
//
//   a[0], a[1]   pixels g and g + 8, tap t / 2, channels 2 (t % 2) and the next, for lane 4 g + t
//   a[2], a[3]   the same of tap 2 + t / 2
//
// Blocks stay: each stages its weights once, in the order of fragments, and goes through rectangles; a warp
// that has stored its results fetches the next one's pixels while it waits for the others.
#include "kernels/conv2d_ends_mma.h"
#include "kernels/conv2d_ends_patch.h"
#include "kernels/conv2d_output.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = FewInputs::kThreads, kTaps = FewInputs::kTaps;
// Pixels of the patch that a thread fetches together: all of 5 x 5.
constexpr int ahead(int stride) {
  return stride == 1 ? 2 : 5;
}
constexpr int kPitch = FewInputs::kStagedPitch;

// How results may be stored: 8 channels of a pixel as a vector of bf16, 2 as a pair of either type, or one by one.
enum class Store { eights, pairs, singles };

// ---- kernels --------------------------------------------------------------------------------------------------------

// weights[step][16 channels][lane][of 8 channels each: b[0], b[1]]: all taps of channels k0 .., zeros behind the last.
__device__ __forceinline__ void stage_weights(uint32_t* weights, const Bf16* w, const Conv2d& conv,
                                              const FewInputs& plan, int k0, bool mirrored_weights) {
  const int taps = conv.r * conv.s, channel = int(threadIdx.x) % plan.channels, k = k0 + channel;
  uint32_t* const to = weights + channel / 16 * 128 + channel % 8 * 16 + channel / 8 % 2 * 2;
#pragma unroll 1
  for (int tap = int(threadIdx.x) / plan.channels; tap < plan.steps * kTaps; tap += kThreads / plan.channels) {
    const Bf16* const from =
        w + (mirrored_weights ? int64_t(taps - 1 - tap) * conv.k + k : (int64_t(k) * taps + tap) * conv.c);
    const int next = mirrored_weights ? taps * conv.k : 1;
    uint32_t bits[kMostFew] = {};
#pragma unroll
    for (int c = 0; c < kMostFew; ++c)
      if (k < conv.k && tap < taps && c < conv.c) bits[c] = from[c * next].bits;
    uint32_t* const at = to + tap / kTaps * plan.channels * 8 + tap % 2 * 8 + tap / 2 % 2;
    at[0] = bits[0] | bits[1] << 16;
    at[4] = bits[2] | bits[3] << 16;
  }
}

// Where in shared memory a lane finds its part of two taps of a step: the place of its first pixel times `times`, and
// `plus`: zeros, not pixels, where no tap is.
struct alignas(16) TapPlaces {
  int times[2], plus[2];
};
// places[step][which of two neighbours]; `zeros`: their place.
__device__ __forceinline__ void place_taps(TapPlaces* places, const Conv2d& conv, const FewInputs& plan, int zeros) {
#pragma unroll 1
  for (int i = int(threadIdx.x); i < plan.steps * 2; i += kThreads)
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int tap = i / 2 * kTaps + 2 * j + i % 2;
      const bool some = tap < conv.r * conv.s;
      places[i].times[j] = some;
      places[i].plus[j] = some ? (tap / conv.s * plan.patch.pitch + tap % conv.s) * 8 : zeros;
    }
}

// What a warp has of a rectangle: the sums of two times 16 pixels of a row and `Round` channels.
template <int Round>
using Sums = float[2][Round / 8][4];

// pixel: the place in `bytes` of this lane's part of its first pixel.
template <int Stride, int Round>
__device__ __forceinline__ void multiply(Sums<Round>& sums, const unsigned char* bytes, int pixel,
                                         const TapPlaces* places, const uint4* weights, const FewInputs& plan) {
#pragma unroll 1
  for (int step = 0; step < plan.steps; ++step) {
    const int4 taps = load_vector<int4>(places + step * 2 + lane() / 2 % 2);
    const int at[2] = {taps.x * pixel + taps.z, taps.y * pixel + taps.w};
    uint32_t rows[2][4];
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        rows[i][j] = load_vector<uint32_t>(bytes + at[j / 2] + (16 * i + j % 2 * 8) * Stride * 8);
#pragma unroll
    for (int j = 0; j < Round / 16; ++j) {
      const uint4 columns = load_vector<uint4>(weights + j * kWarpSize);
      const uint32_t b0[2] = {columns.x, columns.y}, b1[2] = {columns.z, columns.w};
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        mma_m16n8k16_bf16(sums[i][2 * j], rows[i], b0, sums[i][2 * j]);
        mma_m16n8k16_bf16(sums[i][2 * j + 1], rows[i], b1, sums[i][2 * j + 1]);
      }
    }
    weights += plan.channels / 16 * kWarpSize;
  }
}

// 16 pixels of row n P + p and Round channels from k on, through this warp's staged memory to y.
template <int Round>
__device__ __forceinline__ void store_eights(const float (&sums)[Round / 8][4], const float* biases,
                                             unsigned char* staged, void* y, int64_t first, const Conv2d& conv,
                                             const Epilogue& epilogue, int row, int q0, int k) {
  constexpr int kUnits = Round / 8;
  const bool leaky = epilogue.activation == Activation::leaky_relu;
  __syncwarp();
#pragma unroll
  for (int j = 0; j < kUnits; ++j) {
    const float2 b = load_vector<float2>(biases + j * 8 + lane() % 4 * 2);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float v0 = sums[j][2 * half] + b.x, v1 = sums[j][2 * half + 1] + b.y;
      if (leaky) {
        v0 = activate(Activation::leaky_relu, v0, epilogue.slope);
        v1 = activate(Activation::leaky_relu, v1, epilogue.slope);
      }
      store_vector(staged + (lane() / 4 + 8 * half) * kPitch + j * 16 + lane() % 4 * 4, to_bf16x2(v0, v1));
    }
  }
  __syncwarp();
  const int unit = lane() % kUnits, pixel = lane() / kUnits, step = epilogue.shuffle ? conv.k / 2 : conv.k;
  if (k + unit * 8 >= conv.k) return;
  Bf16* const to =
      static_cast<Bf16*>(y) + first + output_offset(conv, epilogue.shuffle, 0, row, q0 + pixel, k + unit * 8);
#pragma unroll
  for (int i = 0; i < FewInputs::kStagedPixels * kUnits / kWarpSize; ++i) {
    const int more = i * (kWarpSize / kUnits);
    if (q0 + pixel + more < conv.out_w())
      store_vector(to + more * step, load_vector<uint4>(staged + (pixel + more) * kPitch + unit * 16));
  }
}

// The same for any epilogue, type and place: in fp32 through the staged memory, 32 channels at a time, and by a loop
// that does the rest, since unrolled over the sums it would be longer than all else.
template <int Round>
__device__ __forceinline__ void store_any(const float (&sums)[Round / 8][4], const float* biases, unsigned char* staged,
                                          void* y, int64_t first, const Conv2d& conv, const Epilogue& epilogue, int row,
                                          int q0, int k, bool pairs) {
  constexpr int kHalf = 32, kPairs = kHalf / 2;
#pragma unroll
  for (int begin = 0; begin < Round; begin += kHalf) {
    __syncwarp();
#pragma unroll
    for (int j = 0; j < kHalf / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        store_vector(staged + (lane() / 4 + 8 * half) * kPitch + j * 32 + lane() % 4 * 8,
                     make_float2(sums[begin / 8 + j][2 * half], sums[begin / 8 + j][2 * half + 1]));
    __syncwarp();
    const int pair = lane() % kPairs, at = k + begin + 2 * pair, step = epilogue.shuffle ? conv.k / 2 : conv.k;
    if (at >= conv.k) continue;
    const bool second = at + 1 < conv.k;
    const float2 b = load_vector<float2>(biases + begin + 2 * pair);
    int64_t to[2] = {};
#pragma unroll
    for (int e = 0; e < 2; ++e) to[e] = first + output_offset(conv, epilogue.shuffle, 0, row, q0, at + (e && second));
#pragma unroll 1
    for (int pixel = lane() / kPairs; pixel < FewInputs::kStagedPixels && q0 + pixel < conv.out_w();
         pixel += kWarpSize / kPairs) {
      const float2 z = load_vector<float2>(staged + pixel * kPitch + pair * 8);
      const float v0 = finish_output(z.x + b.x, epilogue), v1 = finish_output(z.y + b.y, epilogue);
      if (pairs) {
        store_output_pair(y, to[0] + pixel * step, v0, v1, conv.out_type);
      } else {
        store_output(y, to[0] + pixel * step, v0, conv.out_type);
        if (second) store_output(y, to[1] + pixel * step, v1, conv.out_type);
      }
    }
  }
}

// blockIdx: the first of its rectangles, tile of channels, group.
template <int Stride, int Round>
DOPPEL_GLOBAL((kThreads, 2), few_inputs_fprop_kernel, void* y, const Bf16* x, const Bf16* w, const float* bias,
              Conv2d conv, Epilogue epilogue, FewInputs plan, bool mirrored_weights, bool quads, Store store) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED_DYNAMIC(bytes);
  const int thread = int(threadIdx.x), k0 = int(blockIdx.y) * plan.channels;
  const int64_t group = blockIdx.z, first = group * conv.out_elements();
  x += group * conv.in_elements();
  w += group * conv.weight_stride;
  if (bias) bias += group * conv.bias_stride;
  uint32_t* const weights = reinterpret_cast<uint32_t*>(bytes);
  unsigned char* const staged_all = bytes + plan.weight_bytes();
  unsigned char* const staged = staged_all + warp() * FewInputs::kStagedPixels * kPitch;
  TapPlaces* const places =
      reinterpret_cast<TapPlaces*>(staged_all + kThreads / kWarpSize * FewInputs::kStagedPixels * kPitch);
  float* const biases = reinterpret_cast<float*>(places + plan.steps * 2);
  PixelQuad* const patch = reinterpret_cast<PixelQuad*>(biases + plan.channels);
  PixelQuad* const zeros = patch + plan.patch.rows * plan.patch.pitch;
  const auto place_of = [&](const void* at) { return int(static_cast<const unsigned char*>(at) - bytes); };

  const int rectangles = conv.n * plan.across * plan.down;
  const auto rectangle = [&](int number) {
    return Rectangle(number, plan.across, plan.down, FewInputs::kRows, FewInputs::kColumns);
  };
  PatchLoader<kThreads, ahead(Stride)> loader(x, conv, plan.patch, quads);
  Rectangle here = rectangle(int(blockIdx.x));
  loader.load(here);
  stage_weights(weights, w, conv, plan, k0, mirrored_weights);
  place_taps(places, conv, plan, place_of(zeros));
  for (int i = thread; i < plan.channels; i += kThreads) biases[i] = bias && k0 + i < conv.k ? bias[k0 + i] : 0.0f;
  for (int i = thread; i < plan.zeros(Stride); i += kThreads) store_vector(zeros + i, make_uint2(0, 0));

  const int row = warp();
  const int pixel = place_of(patch + (row * plan.patch.pitch + lane() / 4) * Stride) + lane() % 2 * 4;
#pragma unroll 1
  for (int number = int(blockIdx.x);;) {
    loader.store([&](int i, int j, const PixelQuad& v) { store_vector(patch + i * plan.patch.pitch + j, v); });
    __syncthreads();
#pragma unroll 1
    for (int k = 0; k < plan.channels && k0 + k < conv.k; k += Round) {
      Sums<Round> sums = {};
      multiply<Stride, Round>(sums, bytes, pixel, places, reinterpret_cast<const uint4*>(weights) + k * 2 + lane(),
                              plan);
      const auto store_half = [&](int i) {
        const int q = here.q + 16 * i;
        if (here.p + row >= conv.out_h() || q >= conv.out_w()) return;
        const int line = here.n * conv.out_h() + here.p + row;
        if (store == Store::eights)
          store_eights<Round>(sums[i], biases + k, staged, y, first, conv, epilogue, line, q, k0 + k);
        else
          store_any<Round>(sums[i], biases + k, staged, y, first, conv, epilogue, line, q, k0 + k,
                           store == Store::pairs);
      };
      store_half(0);
      store_half(1);
    }
    if ((number += int(gridDim.x)) >= rectangles) return;
    loader.load(here = rectangle(number));
    __syncthreads();
  }
}

}  // namespace

// ---- launchers ------------------------------------------------------------------------------------------------------

void few_inputs_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv,
                      const Epilogue& epilogue, bool mirrored_weights, Stream stream) {
  const FewInputs plan(conv);
  const int run = epilogue.shuffle ? conv.k / 2 : conv.k;
  const auto aligned = [&](size_t elements) {
    return run % int(elements) == 0 && reinterpret_cast<uintptr_t>(y) % (elements * size_of(conv.out_type)) == 0;
  };
  const Store store = conv.out_type == DType::bf16 && epilogue.activation != Activation::sigmoid && aligned(8)
                          ? Store::eights
                      : aligned(2) ? Store::pairs
                                   : Store::singles;
  const bool quads = conv.c == 4 && is_aligned<PixelQuad>(x);
  const dim3 grid(unsigned(plan.blocks(conv, multiprocessors())), unsigned(plan.channel_tiles(conv)),
                  unsigned(conv.groups));
  const auto launch = [&]<int Stride, int Round>() {
    DOPPEL_KERNEL(few_inputs_fprop_kernel<Stride, Round>)
        .launch({grid, kThreads, plan.shared(conv)}, y, static_cast<const Bf16*>(x), static_cast<const Bf16*>(w), b,
                conv, epilogue, plan, mirrored_weights, quads, store, stream);
  };
  if (conv.stride == 1)
    plan.round == 32 ? launch.operator()<1, 32>() : launch.operator()<1, 64>();
  else
    plan.round == 32 ? launch.operator()<2, 32>() : launch.operator()<2, 64>();
}

}  // namespace doppel::DOPPEL_BACKEND
