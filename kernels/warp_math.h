// The formulas behind kernels/warp.h, the same for every backend: what is drawn for a sample, where a pixel lands in
// the face, and a bilinear tap.
#pragma once

#include <cmath>

#include "kernels/both.h"
#include "kernels/warp.h"

namespace doppel {

// ---- draw -----------------------------------------------------------------------------------------------------------
//
// Words of Random(seed, step, sample), in order:
//   0 face   1 angle   2 zoom   3, 4 shift   5 flip   6 + 4k .. 9 + 4k node k = 5 row + column   106, 107 colour

constexpr int kWarpNodeCount = kWarpNodes * kWarpNodes;
constexpr uint32_t kWordsBeforeNodes = 6, kWordsOfNode = 4;
constexpr uint32_t kWordsBeforeColour = kWordsBeforeNodes + kWordsOfNode * kWarpNodeCount;

DOPPEL_BOTH inline uint32_t draw_face(Random& random, uint32_t faces_in_set) {
  return random.below(faces_in_set);
}

// The pixels of a sample that drew `face`.
DOPPEL_BOTH inline const uint8_t* find_face(const WarpFaces& faces, const Warp& warp, uint64_t step, uint32_t sample,
                                            uint32_t face) {
  const uint32_t batch = uint32_t(warp.batch), person = sample / batch;
  const uint32_t at = faces.staged[person] ? uint32_t(step % 2) * batch + sample % batch : face;
  return faces.pixels[person] + int64_t(at) * warp.face_size * warp.face_size * 3;
}

// The face, and the map from the augmented face to it; augmented is turned and scaled about the centre, shifted,
// mirrored.
struct WarpFaceDraw {
  uint32_t face;
  Affine to_face;
};
DOPPEL_BOTH inline WarpFaceDraw draw_warp_face(const Warp& warp, Random& random, uint32_t faces_in_set) {
  const float size = float(warp.face_size), centre = (size - 1) / 2;
  const uint32_t face = draw_face(random, faces_in_set);
  const float angle = random.uniform(-warp.rotation, warp.rotation) * 0.0174532925f;
  const float scale = 1 + random.uniform(-warp.zoom, warp.zoom);
  const float dx = random.uniform(-warp.shift, warp.shift) * size;
  const float dy = random.uniform(-warp.shift, warp.shift) * size;
  const bool flip = random.uniform() < warp.flip;
  const float c = scale * std::cos(angle), d = scale * std::sin(angle);
  const Affine turn{c, d, centre + dx - (c * centre + d * centre), -d, c, centre + dy - (-d * centre + c * centre)};
  const Affine mirror = flip ? Affine{-1, 0, size - 1, 0, 1, 0} : Affine{};
  return {face, mirror.after(turn).inverse()};
}

// Node k of the regular grid lies at the input's coordinate k T / 4, measured from the edge of its first pixel; moved,
// it lies in the augmented face.
struct WarpNodeDraw {
  Point regular, moved;
};
DOPPEL_BOTH inline WarpNodeDraw draw_warp_node(const Warp& warp, Random& random, int row, int column) {
  const float size = float(warp.face_size), inner = warp.inner * size, low = (size - inner) / 2 - 0.5f;
  const float fx = float(column) / (kWarpNodes - 1), fy = float(row) / (kWarpNodes - 1);
  const float mx = random.normal() * warp.jitter * size, my = random.normal() * warp.jitter * size;
  return {{fx * float(warp.out_size) - 0.5f, fy * float(warp.out_size) - 0.5f},
          {low + fx * inner + mx, low + fy * inner + my}};
}

// Similarity z -> a z + t (complex numbers) with the least sum of squares |to - (a from + t)|^2 over the nodes: for two
// dimensions and no mirroring Umeyama's solution is the regression of `to` on `from` over the complex numbers.
DOPPEL_BOTH inline Affine fit_similarity(const Point* from, const Point* to) {
  constexpr int n = kWarpNodeCount;
  Point mf, mt;
  for (int i = 0; i < n; ++i) {
    const Point f = from[i], t = to[i];
    mf.x += f.x / n, mf.y += f.y / n;
    mt.x += t.x / n, mt.y += t.y / n;
  }
  float re = 0, im = 0, norm = 0;
  for (int i = 0; i < n; ++i) {
    const Point f = from[i], t = to[i];
    const float fx = f.x - mf.x, fy = f.y - mf.y, tx = t.x - mt.x, ty = t.y - mt.y;
    re += fx * tx + fy * ty;
    im += fx * ty - fy * tx;
    norm += fx * fx + fy * fy;
  }
  const float a = re / norm, c = im / norm;
  return {a, -c, mt.x - (a * mf.x - c * mf.y), c, a, mt.y - (c * mf.x + a * mf.y)};
}

// Sets gain and offset.
DOPPEL_BOTH inline void draw_warp_colour(WarpSample& s, const Warp& warp, Random& random) {
  const float brightness = random.uniform(-warp.brightness, warp.brightness);
  s.gain = 1 + random.uniform(-warp.contrast, warp.contrast);
  s.offset = brightness + 0.5f - 0.5f * s.gain;
}

// ---- pixels ---------------------------------------------------------------------------------------------------------

// Where a pixel's centre falls in the face, and the face's steps for one pixel to the right (u) and down (v).
struct WarpLanding {
  Point at;
  float ux, uy, vx, vy;
};

// A coordinate of the output on the grid of nodes, whose cells are `cell` pixels wide: the node before it and the
// fraction.
struct WarpCell {
  int node;
  float fraction;
};
DOPPEL_BOTH inline WarpCell warp_cell(int pixel, float cell) {
  const float g = (float(pixel) + 0.5f) / cell;
  const int i = int(g) < kWarpNodes - 2 ? int(g) : kWarpNodes - 2;
  return {i, g - float(i)};
}

// The bilinear patch and its two derivatives.
DOPPEL_BOTH inline WarpLanding through_nodes(const Point (&nodes)[kWarpNodes][kWarpNodes], WarpCell x, WarpCell y,
                                             float cell) {
  const int i = y.node, j = x.node;
  const float fx = x.fraction, fy = y.fraction;
  const Point p00 = nodes[i][j], p01 = nodes[i][j + 1], p10 = nodes[i + 1][j], p11 = nodes[i + 1][j + 1];
  const float ux = ((p01.x - p00.x) * (1 - fy) + (p11.x - p10.x) * fy) / cell;
  const float uy = ((p01.y - p00.y) * (1 - fy) + (p11.y - p10.y) * fy) / cell;
  const float vx = ((p10.x - p00.x) * (1 - fx) + (p11.x - p01.x) * fx) / cell;
  const float vy = ((p10.y - p00.y) * (1 - fx) + (p11.y - p01.y) * fx) / cell;
  const Point at{(p00.x * (1 - fx) + p01.x * fx) * (1 - fy) + (p10.x * (1 - fx) + p11.x * fx) * fy,
                 (p00.y * (1 - fx) + p01.y * fx) * (1 - fy) + (p10.y * (1 - fx) + p11.y * fx) * fy};
  return {at, ux, uy, vx, vy};
}

DOPPEL_BOTH inline WarpLanding through_target(const Affine& target, int x, int y) {
  return {target({float(x), float(y)}), target.a, target.c, target.b, target.d};
}

// The mean of the four taps to a colour: `shift` is the person's, gain and offset the sample's.
DOPPEL_BOTH inline float warp_colour(float v, float shift, float gain, float offset) {
  const float w = (v + shift) * gain + offset, low = w < 0 ? 0 : w;
  return low > 1 ? 1 : low;
}

}  // namespace doppel
