#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"
#include "kernels/warp_math.h"

namespace doppel::on_cpu {
namespace {

// Four taps, and four taps of four channels each, of which the last is not used.
using Taps = float __attribute__((vector_size(16)));
using Indices = int __attribute__((vector_size(16)));
using Words = uint32_t __attribute__((vector_size(16)));
using Bytes = uint8_t __attribute__((vector_size(16)));
using Lanes = float __attribute__((vector_size(64)));

inline uint32_t word(const uint8_t* p) {
  uint32_t w;
  std::memcpy(&w, p, sizeof w);
  return w;
}

// The pixels at face + at[k]. `shift` drops the first byte of each word: a right pixel is loaded from a byte before it,
// since four bytes from its own start could end beyond the last face.
inline Lanes pixels(const uint8_t* face, Indices at, int shift) {
  const Words words{word(face + at[0]), word(face + at[1]), word(face + at[2]), word(face + at[3])};
  return __builtin_convertvector(Bytes(words >> shift), Lanes);
}

inline Lanes spread(Taps t) {
  return __builtin_shufflevector(t, t, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
}

// Coordinates clamped to the face (its border repeats), the pixel to the left or above, and the fraction.
struct Axis {
  Indices low;
  Taps fraction;
};
inline Axis split(Taps v, int size) {
  const Taps zero{}, last = zero + float(size - 1);
  v = v > zero ? v : zero;
  v = v < last ? v : last;
  Indices low = __builtin_convertvector(v, Indices);
  const Indices most = Indices{} + (size - 2);
  low = low < most ? low : most;
  return {low, v - __builtin_convertvector(low, Taps)};
}

// The mean of four bilinear taps, a quarter of an output pixel from its centre. Channels 0 to 2, values
// 0..1.
inline Taps sample(const uint8_t* face, int size, const WarpLanding& l) {
  const float ax = (l.ux + l.vx) / 4, ay = (l.uy + l.vy) / 4, bx = (l.ux - l.vx) / 4, by = (l.uy - l.vy) / 4;
  const Axis x = split(Taps{l.at.x - ax, l.at.x + bx, l.at.x - bx, l.at.x + ax}, size);
  const Axis y = split(Taps{l.at.y - ay, l.at.y + by, l.at.y - by, l.at.y + ay}, size);
  const Indices p = (y.low * size + x.low) * 3, q = p + 3 * size;
  const Lanes p0 = pixels(face, p, 0), p1 = pixels(face, p + 2, 8);
  const Lanes q0 = pixels(face, q, 0), q1 = pixels(face, q + 2, 8);
  const Lanes fx = spread(x.fraction), fy = spread(y.fraction);
  const Lanes top = p0 + fx * (p1 - p0), bottom = q0 + fx * (q1 - q0);
  const Lanes all = top + fy * (bottom - top);
  const Taps sum =
      (__builtin_shufflevector(all, all, 0, 1, 2, 3) + __builtin_shufflevector(all, all, 4, 5, 6, 7)) +
      (__builtin_shufflevector(all, all, 8, 9, 10, 11) + __builtin_shufflevector(all, all, 12, 13, 14, 15));
  return sum * (1.f / (4 * 255));
}

template <typename T>
void one_sample(T* input, float* target, const uint8_t* face, const float* shift, const WarpSample& s, const Warp& w) {
  const int t = w.out_size, size = w.face_size;
  const float cell = float(t) / (kWarpNodes - 1);
  for (int y = 0; y < t; ++y) {
    const WarpCell row = warp_cell(y, cell);
    for (int x = 0; x < t; ++x) {
      const Taps in = sample(face, size, through_nodes(s.nodes, warp_cell(x, cell), row, cell));
      const Taps out = sample(face, size, through_target(s.target, x, y));
      const int64_t pixel = (int64_t(y) * t + x) * 3;
      input[pixel] = from_float<T>(warp_colour(in[0], shift[0], s.gain, s.offset));
      input[pixel + 1] = from_float<T>(warp_colour(in[1], shift[1], s.gain, s.offset));
      input[pixel + 2] = from_float<T>(warp_colour(in[2], shift[2], s.gain, s.offset));
      target[pixel] = warp_colour(out[0], shift[0], s.gain, s.offset);
      target[pixel + 1] = warp_colour(out[1], shift[1], s.gain, s.offset);
      target[pixel + 2] = warp_colour(out[2], shift[2], s.gain, s.offset);
    }
  }
}

}  // namespace

void draw_warps(WarpSample* samples, const WarpFaces& faces, const StepState* state, const Warp& w, Stream) {
  for (int64_t i = 0; i < int64_t(w.people) * w.batch; ++i)
    samples[i] = draw_warp(w, state->seed, state->step, uint32_t(i), faces.faces[i / w.batch]);
}

void warp_batch(void* input, float* target, const WarpFaces& faces, const StepState* state, const Warp& w, Stream) {
  const int64_t pixels = int64_t(w.out_size) * w.out_size * 3;
  parallel_for(int64_t(w.people) * w.batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t person = i / w.batch;
      const WarpSample s = draw_warp(w, state->seed, state->step, uint32_t(i), faces.faces[person]);
      const uint8_t* face = find_face(faces, w, state->step, uint32_t(i), s.face);
      if (w.input_type == DType::bf16)
        one_sample(static_cast<Bf16*>(input) + i * pixels, target + i * pixels, face, faces.shift[person], s, w);
      else
        one_sample(static_cast<float*>(input) + i * pixels, target + i * pixels, face, faces.shift[person], s, w);
    }
  });
}

}  // namespace doppel::on_cpu
