// Drawing a warp: the same numbers on every backend.
#include "kernels/warp.h"

#include <cmath>

namespace doppel {
namespace {

// Similarity z -> a z + t (complex numbers) with the least sum of squares |to - (a from + t)|^2 over the nodes: for two
// dimensions and no mirroring Umeyama's solution is the regression of `to` on `from` over the complex numbers.
Affine fit_similarity(const Point (&from)[kWarpNodes][kWarpNodes], const Point (&to)[kWarpNodes][kWarpNodes]) {
  constexpr int n = kWarpNodes * kWarpNodes;
  Point mf, mt;
  for (int i = 0; i < n; ++i) {
    const Point f = from[i / kWarpNodes][i % kWarpNodes], t = to[i / kWarpNodes][i % kWarpNodes];
    mf.x += f.x / n, mf.y += f.y / n;
    mt.x += t.x / n, mt.y += t.y / n;
  }
  float re = 0, im = 0, norm = 0;
  for (int i = 0; i < n; ++i) {
    const Point f = from[i / kWarpNodes][i % kWarpNodes], t = to[i / kWarpNodes][i % kWarpNodes];
    const float fx = f.x - mf.x, fy = f.y - mf.y, tx = t.x - mt.x, ty = t.y - mt.y;
    re += fx * tx + fy * ty;
    im += fx * ty - fy * tx;
    norm += fx * fx + fy * fy;
  }
  const float a = re / norm, c = im / norm;
  return {a, -c, mt.x - (a * mf.x - c * mf.y), c, a, mt.y - (c * mf.x + a * mf.y)};
}

}  // namespace

WarpSample draw_warp(const Warp& warp, uint64_t seed, uint64_t step, uint32_t sample, uint32_t faces_in_set) {
  Random random(seed, step, sample);
  const float size = float(warp.face_size), centre = (size - 1) / 2;
  WarpSample s;
  s.face = random.below(faces_in_set);

  // face -> augmented face: turned and scaled about the centre, shifted, mirrored.
  const float angle = random.uniform(-warp.rotation, warp.rotation) * 0.0174532925f;
  const float scale = 1 + random.uniform(-warp.zoom, warp.zoom);
  const float dx = random.uniform(-warp.shift, warp.shift) * size;
  const float dy = random.uniform(-warp.shift, warp.shift) * size;
  const bool flip = random.uniform() < warp.flip;
  const float c = scale * std::cos(angle), d = scale * std::sin(angle);
  const Affine turn{c, d, centre + dx - (c * centre + d * centre), -d, c, centre + dy - (-d * centre + c * centre)};
  const Affine mirror = flip ? Affine{-1, 0, size - 1, 0, 1, 0} : Affine{};
  const Affine to_face = mirror.after(turn).inverse();

  // Node k of the regular grid lies at the input's coordinate k T / 4, measured from the edge of its first pixel.
  Point regular[kWarpNodes][kWarpNodes], moved[kWarpNodes][kWarpNodes];
  const float inner = warp.inner * size, low = (size - inner) / 2 - 0.5f;
  for (int i = 0; i < kWarpNodes; ++i)
    for (int j = 0; j < kWarpNodes; ++j) {
      const float fx = float(j) / (kWarpNodes - 1), fy = float(i) / (kWarpNodes - 1);
      regular[i][j] = {fx * float(warp.out_size) - 0.5f, fy * float(warp.out_size) - 0.5f};
      const float mx = random.normal() * warp.jitter * size, my = random.normal() * warp.jitter * size;
      moved[i][j] = {low + fx * inner + mx, low + fy * inner + my};
      s.nodes[i][j] = to_face(moved[i][j]);
    }
  s.target = to_face.after(fit_similarity(moved, regular).inverse());

  const float brightness = random.uniform(-warp.brightness, warp.brightness);
  s.gain = 1 + random.uniform(-warp.contrast, warp.contrast);
  s.offset = brightness + 0.5f - 0.5f * s.gain;
  return s;
}

}  // namespace doppel
