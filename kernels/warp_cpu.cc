#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"
#include "kernels/warp.h"

namespace doppel {
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

// The mean of four bilinear taps, a quarter of an output pixel from its centre `at`; (ux, uy) and (vx, vy) are the
// face's steps for one output pixel to the right and down. Channels 0 to 2, values 0..1.
inline Taps sample(const uint8_t* face, int size, Point at, float ux, float uy, float vx, float vy) {
  const float ax = (ux + vx) / 4, ay = (uy + vy) / 4, bx = (ux - vx) / 4, by = (uy - vy) / 4;
  const Axis x = split(Taps{at.x - ax, at.x + bx, at.x - bx, at.x + ax}, size);
  const Axis y = split(Taps{at.y - ay, at.y + by, at.y - by, at.y + ay}, size);
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

inline float finish(float v, float shift, const WarpSample& s) {
  return std::min(std::max((v + shift) * s.gain + s.offset, 0.f), 1.f);
}

template <typename T>
void one_sample(T* input, float* target, const uint8_t* face, const float* shift, const WarpSample& s, const Warp& w) {
  const int t = w.out_size, size = w.face_size;
  const float cell = float(t) / (kWarpNodes - 1);
  for (int y = 0; y < t; ++y) {
    const float gy = (float(y) + 0.5f) / cell;
    const int i = std::min(int(gy), kWarpNodes - 2);
    const float fy = gy - float(i);
    for (int x = 0; x < t; ++x) {
      const float gx = (float(x) + 0.5f) / cell;
      const int j = std::min(int(gx), kWarpNodes - 2);
      const float fx = gx - float(j);
      const Point p00 = s.nodes[i][j], p01 = s.nodes[i][j + 1], p10 = s.nodes[i + 1][j], p11 = s.nodes[i + 1][j + 1];
      // The bilinear patch and its two derivatives.
      const float ux = ((p01.x - p00.x) * (1 - fy) + (p11.x - p10.x) * fy) / cell;
      const float uy = ((p01.y - p00.y) * (1 - fy) + (p11.y - p10.y) * fy) / cell;
      const float vx = ((p10.x - p00.x) * (1 - fx) + (p11.x - p01.x) * fx) / cell;
      const float vy = ((p10.y - p00.y) * (1 - fx) + (p11.y - p01.y) * fx) / cell;
      const Point at{(p00.x * (1 - fx) + p01.x * fx) * (1 - fy) + (p10.x * (1 - fx) + p11.x * fx) * fy,
                     (p00.y * (1 - fx) + p01.y * fx) * (1 - fy) + (p10.y * (1 - fx) + p11.y * fx) * fy};
      const Taps in = sample(face, size, at, ux, uy, vx, vy);
      const Taps out =
          sample(face, size, s.target({float(x), float(y)}), s.target.a, s.target.c, s.target.b, s.target.d);
      const int64_t pixel = (int64_t(y) * t + x) * 3;
      input[pixel] = from_float<T>(finish(in[0], shift[0], s));
      input[pixel + 1] = from_float<T>(finish(in[1], shift[1], s));
      input[pixel + 2] = from_float<T>(finish(in[2], shift[2], s));
      target[pixel] = finish(out[0], shift[0], s);
      target[pixel + 1] = finish(out[1], shift[1], s);
      target[pixel + 2] = finish(out[2], shift[2], s);
    }
  }
}

}  // namespace

void warp_batch(void* input, float* target, const WarpFaces& faces, const StepState* state, const Warp& w, Stream) {
  const int64_t pixels = int64_t(w.out_size) * w.out_size * 3;
  parallel_for(int64_t(w.people) * w.batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t person = i / w.batch;
      const WarpSample s = draw_warp(w, state->seed, state->step, uint32_t(i), faces.faces[person]);
      const uint8_t* face = faces.pixels[person] + size_t(s.face) * w.face_size * w.face_size * 3;
      if (w.input_type == DType::bf16)
        one_sample(static_cast<Bf16*>(input) + i * pixels, target + i * pixels, face, faces.shift[person], s, w);
      else
        one_sample(static_cast<float*>(input) + i * pixels, target + i * pixels, face, faces.shift[person], s, w);
    }
  });
}

}  // namespace doppel
