// The per-pixel formulas behind kernels/frame.h, the same for every backend.
#pragma once

#include "kernels/affine.h"

namespace doppel {

// Cubic convolution (Keys 1981, "Cubic convolution interpolation for digital image processing"), a = -0.5; support
// (-2, 2), sums to 1 over unit steps, and reproduces straight lines and parabolas.
constexpr float keys_cubic(float x) {
  x = x < 0 ? -x : x;
  const float near = (1.5f * x - 2.5f) * x * x + 1;
  const float far = ((-0.5f * x + 2.5f) * x - 4) * x + 2;
  return x < 1 ? near : x < 2 ? far : 0.0f;
}

// The same for the four pixels around a sample that lies f in [0, 1) behind the second of them.
constexpr void keys_cubic4(float f, float* w) {
  w[0] = ((-0.5f * f + 1) * f - 0.5f) * f;
  w[1] = (1.5f * f - 2.5f) * f * f + 1;
  w[2] = ((-1.5f * f + 2) * f + 0.5f) * f;
  w[3] = (0.5f * f - 0.5f) * f * f;
}

// BT.709 luma weights.
constexpr float kLumaR = 0.2126f, kLumaG = 0.7152f, kLumaB = 0.0722f;

// Y, Cb, Cr of coded R, G, B, all on one scale; Cb and Cr are around 0 and reach +-half the range.
struct Ycc {
  float y, cb, cr;
};
constexpr Ycc rgb_to_ycc(float r, float g, float b) {
  const float y = kLumaR * r + kLumaG * g + kLumaB * b;
  return {y, (b - y) / (2 * (1 - kLumaB)), (r - y) / (2 * (1 - kLumaR))};
}

struct Rgb {
  float r, g, b;
};
constexpr Rgb ycc_to_rgb(float y, float cb, float cr) {
  const float r = y + 2 * (1 - kLumaR) * cr;
  const float b = y + 2 * (1 - kLumaB) * cb;
  return {r, (y - kLumaR * r - kLumaB * b) / kLumaG, b};
}

// Value of mask [size, size] at q, in pixels of a square of side `square` that the mask covers; 0 outside the square.
constexpr float mask_at(const float* mask, int size, int square, Point q) {
  if (!(q.x > -0.5f && q.y > -0.5f && q.x < float(square) - 0.5f && q.y < float(square) - 0.5f)) return 0;
  const float scale = float(size) / float(square);
  const float top = float(size - 1);
  float x = (q.x + 0.5f) * scale - 0.5f, y = (q.y + 0.5f) * scale - 0.5f;
  x = x < 0 ? 0 : x > top ? top : x;
  y = y < 0 ? 0 : y > top ? top : y;
  const int x0 = int(x) < size - 2 ? int(x) : size - 2, y0 = int(y) < size - 2 ? int(y) : size - 2;
  const float fx = x - float(x0), fy = y - float(y0);
  const float* p = mask + y0 * size + x0;
  return (p[0] + fx * (p[1] - p[0])) * (1 - fy) + (p[size] + fx * (p[size + 1] - p[size])) * fy;
}

}  // namespace doppel
