#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"
#include "kernels/warp.h"

namespace doppel {
namespace {

// Four floats at once; the fourth lane is not used.
using Lanes = float __attribute__((vector_size(16)));
using Bytes = uint8_t __attribute__((vector_size(4)));
using Index = int __attribute__((vector_size(16)));

inline Lanes load(const uint8_t* p) {
  Bytes bytes;
  std::memcpy(&bytes, p, sizeof bytes);
  return __builtin_convertvector(bytes, Lanes);
}

// Bilinear sample at (x, y) in face pixels, border repeated; values 0..255.
inline Lanes tap(const uint8_t* face, int size, float x, float y) {
  const float last = float(size - 1);
  x = std::min(std::max(x, 0.f), last);
  y = std::min(std::max(y, 0.f), last);
  const int x0 = std::min(int(x), size - 2), y0 = std::min(int(y), size - 2);
  const float fx = x - float(x0), fy = y - float(y0);
  const uint8_t* p = face + (size_t(y0) * size_t(size) + size_t(x0)) * 3;
  const uint8_t* q = p + size_t(size) * 3;
  // The right pixels are loaded from a byte before them: four bytes from their own start could end beyond the last
  // face.
  const Index left_out_first{1, 2, 3, 3};
  const Lanes p1 = __builtin_shuffle(load(p + 2), left_out_first), q1 = __builtin_shuffle(load(q + 2), left_out_first);
  const Lanes p0 = load(p), q0 = load(q);
  const Lanes top = p0 + fx * (p1 - p0), bottom = q0 + fx * (q1 - q0);
  return top + fy * (bottom - top);
}

// The four taps lie a quarter of an output pixel from its centre; (ux, uy) and (vx, vy) are the face's steps for one
// output pixel to the right and down.
inline Lanes sample(const uint8_t* face, int size, Point at, float ux, float uy, float vx, float vy) {
  const float ax = (ux + vx) / 4, ay = (uy + vy) / 4, bx = (ux - vx) / 4, by = (uy - vy) / 4;
  const Lanes sum = tap(face, size, at.x - ax, at.y - ay) + tap(face, size, at.x + bx, at.y + by) +
                    tap(face, size, at.x - bx, at.y - by) + tap(face, size, at.x + ax, at.y + ay);
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
      const Lanes in = sample(face, size, at, ux, uy, vx, vy);
      const Lanes out =
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
