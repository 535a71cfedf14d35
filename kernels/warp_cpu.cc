#include <algorithm>

#include "kernels/parallel.h"
#include "kernels/warp.h"

namespace doppel {
namespace {

struct Colour {
  float r, g, b;
};

// Bilinear sample at (x, y) in face pixels, border repeated; values 0..255, added to `sum`.
inline void add_tap(Colour& sum, const uint8_t* face, int size, float x, float y) {
  const float last = float(size - 1);
  x = std::min(std::max(x, 0.f), last);
  y = std::min(std::max(y, 0.f), last);
  const int x0 = std::min(int(x), size - 2), y0 = std::min(int(y), size - 2);
  const float fx = x - float(x0), fy = y - float(y0);
  const uint8_t* p = face + (size_t(y0) * size + x0) * 3;
  const uint8_t* q = p + size_t(size) * 3;
  const float w11 = fx * fy, w10 = fy - w11, w01 = fx - w11, w00 = 1 - fx - w10;
  sum.r += w00 * p[0] + w01 * p[3] + w10 * q[0] + w11 * q[3];
  sum.g += w00 * p[1] + w01 * p[4] + w10 * q[1] + w11 * q[4];
  sum.b += w00 * p[2] + w01 * p[5] + w10 * q[2] + w11 * q[5];
}

// The four taps lie a quarter of an output pixel from its centre; (ux, uy) and (vx, vy) are the face's steps for one
// output pixel to the right and down.
inline Colour sample(const uint8_t* face, int size, Point at, float ux, float uy, float vx, float vy) {
  Colour sum{0, 0, 0};
  for (float b : {-0.25f, 0.25f})
    for (float a : {-0.25f, 0.25f}) add_tap(sum, face, size, at.x + a * ux + b * vx, at.y + a * uy + b * vy);
  constexpr float k = 1.f / (4 * 255);
  return {sum.r * k, sum.g * k, sum.b * k};
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
      const Colour in = sample(face, size, at, ux, uy, vx, vy);
      const Colour out =
          sample(face, size, s.target({float(x), float(y)}), s.target.a, s.target.c, s.target.b, s.target.d);
      const int64_t pixel = (int64_t(y) * t + x) * 3;
      input[pixel] = from_float<T>(finish(in.r, shift[0], s));
      input[pixel + 1] = from_float<T>(finish(in.g, shift[1], s));
      input[pixel + 2] = from_float<T>(finish(in.b, shift[2], s));
      target[pixel] = finish(out.r, shift[0], s);
      target[pixel + 1] = finish(out.g, shift[1], s);
      target[pixel + 2] = finish(out.b, shift[2], s);
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
