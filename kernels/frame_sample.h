// One cubic sample of a picture, pixel by pixel: what the CUDA kernels and the NV12 crop on the CPU share. (The CPU's
// RGB crop has a vectorised loop of its own, kernels/frame_cpu.cc.)
#pragma once

#include <cmath>
#include <cstddef>

#include "kernels/both.h"
#include "kernels/frame_math.h"
#include "kernels/image.h"

namespace doppel {

// `Channels` interleaved values a pixel; `stride` in T.
template <typename T, int Channels>
struct Plane {
  const T* data;
  int width, height;
  std::ptrdiff_t stride;
};

DOPPEL_BOTH inline int clamp_index(int i, int count) {
  return i < 0 ? 0 : i < count ? i : count - 1;
}

// out = the plane at q, kernel widened by the scales (>= 1), border pixels repeated; the formula of kernels/frame.h.
template <typename T, int Channels>
DOPPEL_BOTH void cubic_sample(float (&out)[Channels], const Plane<T, Channels>& p, Point q, float scale_x,
                              float scale_y) {
  // Beyond the border by more than the kernel every weight falls on border pixels: nothing changes further out, and the
  // indices stay small.
  const float x = clamp_to(q.x, -2 * scale_x - 1, float(p.width) + 2 * scale_x);
  const float y = clamp_to(q.y, -2 * scale_y - 1, float(p.height) + 2 * scale_y);
  float total[Channels] = {};
  float factor = 1;
  if (scale_x == 1 && scale_y == 1) {
    const float floor_x = std::floor(x), floor_y = std::floor(y);
    const int left = int(floor_x) - 1, top = int(floor_y) - 1;
    float wx[4], wy[4];
    keys_cubic4(x - floor_x, wx);
    keys_cubic4(y - floor_y, wy);
    for (int j = 0; j < 4; ++j) {
      const T* row = p.data + clamp_index(top + j, p.height) * p.stride;
      float sum[Channels] = {};
      for (int i = 0; i < 4; ++i) {
        const T* v = row + clamp_index(left + i, p.width) * Channels;
        for (int c = 0; c < Channels; ++c) sum[c] += wx[i] * float(v[c]);
      }
      for (int c = 0; c < Channels; ++c) total[c] += wy[j] * sum[c];
    }
  } else {
    const int left = int(std::floor(x - 2 * scale_x)) + 1, right = int(std::ceil(x + 2 * scale_x));
    const int top = int(std::floor(y - 2 * scale_y)) + 1, bottom = int(std::ceil(y + 2 * scale_y));
    const float narrow_x = 1 / scale_x, narrow_y = 1 / scale_y;
    float weights_x = 0, weights_y = 0;
    for (int i = left; i < right; ++i) weights_x += keys_cubic((float(i) - x) * narrow_x);
    for (int j = top; j < bottom; ++j) {
      const T* row = p.data + clamp_index(j, p.height) * p.stride;
      float sum[Channels] = {};
      for (int i = left; i < right; ++i) {
        const float w = keys_cubic((float(i) - x) * narrow_x);
        const T* v = row + clamp_index(i, p.width) * Channels;
        for (int c = 0; c < Channels; ++c) sum[c] += w * float(v[c]);
      }
      const float w = keys_cubic((float(j) - y) * narrow_y);
      weights_y += w;
      for (int c = 0; c < Channels; ++c) total[c] += w * sum[c];
    }
    factor = 1 / (weights_x * weights_y);
  }
  for (int c = 0; c < Channels; ++c) out[c] = total[c] * factor;
}

// R, G, B, 0..255, not clamped.
DOPPEL_BOTH inline Rgb sample_rgb(const ConstImageView& frame, Point q, float scale_x, float scale_y) {
  float v[3];
  cubic_sample(v, Plane<uint8_t, 3>{frame.data, frame.width, frame.height, frame.stride}, q, scale_x, scale_y);
  return {v[0], v[1], v[2]};
}

// The same of an NV12 frame: luma and chroma are sampled each on its own grid, then turned into R, G, B.
DOPPEL_BOTH inline Rgb sample_nv12(const Nv12View& f, const YuvToRgb& to_rgb, Point q, float scale_x, float scale_y) {
  float luma[1], chroma[2];
  cubic_sample(luma, Plane<uint8_t, 1>{f.luma, f.width, f.height, f.luma_stride}, q, scale_x, scale_y);
  const Point half{(q.x - f.chroma_x) / 2, (q.y - f.chroma_y) / 2};
  cubic_sample(chroma, Plane<uint8_t, 2>{f.chroma, (f.width + 1) / 2, (f.height + 1) / 2, f.chroma_stride}, half,
               scale_x > 2 ? scale_x / 2 : 1, scale_y > 2 ? scale_y / 2 : 1);
  return to_rgb(luma[0], chroma[0], chroma[1]);
}

}  // namespace doppel
