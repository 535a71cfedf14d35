// The warp in one kernel: each block draws its sample again (a hundred Philox words cost less than a trip through
// memory and a second launch) and samples a part of the input and of the target. The first warp draws, a lane for each
// node.
#include "kernels/device/device.h"
#include "kernels/warp_math.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;
constexpr int kPixels = 1024;  // of a block

// ---- kernels --------------------------------------------------------------------------------------------------------

struct Drawn {
  WarpSample sample;
  Point regular[kWarpNodeCount], moved[kWarpNodeCount];
};
// Shared memory takes no type with a constructor, and Point has one.
struct DrawnMemory {
  alignas(Drawn) unsigned char bytes[sizeof(Drawn)];
};

// By all lanes of one warp; the others need a barrier behind it. The same numbers by the same formulas as draw_warp.
__device__ __forceinline__ void draw(Drawn& drawn, const Warp& w, uint64_t seed, uint64_t step, uint32_t sample,
                                     uint32_t faces_in_set) {
  Random start(seed, step, sample);
  const WarpFaceDraw face = draw_warp_face(w, start, faces_in_set);
  const int k = lane();
  if (k < kWarpNodeCount) {
    Random random(seed, step, sample, kWordsBeforeNodes + kWordsOfNode * uint32_t(k));
    const WarpNodeDraw node = draw_warp_node(w, random, k / kWarpNodes, k % kWarpNodes);
    drawn.regular[k] = node.regular;
    drawn.moved[k] = node.moved;
    drawn.sample.nodes[k / kWarpNodes][k % kWarpNodes] = face.to_face(node.moved);
  }
  __syncwarp();
  if (k == 0) {
    drawn.sample.face = face.face;
    // One lane sums over the nodes, in draw_warp's order.
    drawn.sample.target = face.to_face.after(fit_similarity(drawn.moved, drawn.regular).inverse());
    Random colour(seed, step, sample, kWordsBeforeColour);
    draw_warp_colour(drawn.sample, w, colour);
  }
}

DOPPEL_GLOBAL((kWarpSize), draw_kernel, WarpSample* samples, WarpFaces faces, const StepState* state, Warp w) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED(DrawnMemory, memory, [1]);
  Drawn& drawn = *static_cast<Drawn*>(static_cast<void*>(memory));
  const uint32_t sample = blockIdx.x;
  draw(drawn, w, state->seed, state->step, sample, faces.faces[sample / uint32_t(w.batch)]);
  __syncwarp();
  if (lane() == 0) samples[sample] = drawn.sample;
}

// A coordinate within the face (its border repeats), the pixel to the left or above, and the fraction.
struct Axis {
  int low;
  float fraction;
};
__device__ __forceinline__ Axis split(float v, int size) {
  const float last = float(size - 1);
  v = v > 0 ? v : 0;
  v = v < last ? v : last;
  const int low = int(v) < size - 2 ? int(v) : size - 2;
  return {low, v - float(low)};
}

// The mean of four bilinear taps, a quarter of an output pixel from its centre, 0..1.
__device__ __forceinline__ void sample_face(float (&colour)[3], const uint8_t* face, int size, const WarpLanding& l) {
  const float ax = (l.ux + l.vx) / 4, ay = (l.uy + l.vy) / 4, bx = (l.ux - l.vx) / 4, by = (l.uy - l.vy) / 4;
  const float dx[4] = {-ax, bx, -bx, ax}, dy[4] = {-ay, by, -by, ay};
  float tap[4][3];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const Axis x = split(l.at.x + dx[k], size), y = split(l.at.y + dy[k], size);
    const uint8_t* p = face + (y.low * size + x.low) * 3;
    const uint8_t* q = p + size * 3;
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      const float p0 = float(p[c]), p1 = float(p[3 + c]), q0 = float(q[c]), q1 = float(q[3 + c]);
      const float top = p0 + x.fraction * (p1 - p0), bottom = q0 + x.fraction * (q1 - q0);
      tap[k][c] = top + y.fraction * (bottom - top);
    }
  }
#pragma unroll
  for (int c = 0; c < 3; ++c) colour[c] = ((tap[0][c] + tap[1][c]) + (tap[2][c] + tap[3][c])) * (1.f / (4 * 255));
}

// Blocks of a sample, kPixels pixels of the input and the target each.
DOPPEL_BOTH int parts_of(const Warp& w) {
  return (w.out_size * w.out_size + kPixels - 1) / kPixels;
}

// blockIdx.x: the sample and its part. (The grid takes no more than 65535 blocks along y, and a batch may have more
// samples.)
template <typename T>
DOPPEL_GLOBAL((kThreads), warp_kernel, T* input, float* target, WarpFaces faces, const StepState* state, Warp w) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED(DrawnMemory, memory, [1]);
  Drawn& drawn = *static_cast<Drawn*>(static_cast<void*>(memory));
  const int parts = parts_of(w);
  const uint32_t number = blockIdx.x / uint32_t(parts), person = number / uint32_t(w.batch);
  if (warp() == 0) draw(drawn, w, state->seed, state->step, number, faces.faces[person]);
  __syncthreads();

  const WarpSample& s = drawn.sample;
  const int t = w.out_size, size = w.face_size, pixels = t * t;
  const uint8_t* face = find_face(faces, w, state->step, number, s.face);
  const float shift[3] = {faces.shift[person][0], faces.shift[person][1], faces.shift[person][2]};
  const float cell = float(t) / (kWarpNodes - 1);
  const int begin = int(blockIdx.x % uint32_t(parts)) * kPixels,
            end = begin + kPixels < pixels ? begin + kPixels : pixels;
  for (int pixel = begin + int(threadIdx.x); pixel < end; pixel += kThreads) {
    const int y = pixel / t, x = pixel % t;
    float in[3], out[3];
    sample_face(in, face, size, through_nodes(s.nodes, warp_cell(x, cell), warp_cell(y, cell), cell));
    sample_face(out, face, size, through_target(s.target, x, y));
    const int64_t at = (int64_t(number) * pixels + pixel) * 3;
    for (int c = 0; c < 3; ++c) {
      input[at + c] = from_float<T>(warp_colour(in[c], shift[c], s.gain, s.offset));
      target[at + c] = warp_colour(out[c], shift[c], s.gain, s.offset);
    }
  }
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <typename T>
void launch_warp(void* input, float* target, const WarpFaces& faces, const StepState* state, const Warp& w,
                 Stream stream) {
  const Geometry geometry{unsigned(int64_t(w.people) * w.batch * parts_of(w)), kThreads};
  DOPPEL_KERNEL(warp_kernel<T>).launch(geometry, static_cast<T*>(input), target, faces, state, w, stream);
}

}  // namespace

void draw_warps(WarpSample* samples, const WarpFaces& faces, const StepState* state, const Warp& w, Stream stream) {
  if (w.people * w.batch == 0) return;
  DOPPEL_KERNEL(draw_kernel).launch({unsigned(w.people * w.batch), kWarpSize}, samples, faces, state, w, stream);
}

void warp_batch(void* input, float* target, const WarpFaces& faces, const StepState* state, const Warp& w,
                Stream stream) {
  if (w.people * w.batch == 0) return;
  if (w.input_type == DType::bf16)
    launch_warp<Bf16>(input, target, faces, state, w, stream);
  else
    launch_warp<float>(input, target, faces, state, w, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
