#include <algorithm>
#include <cmath>

#include "kernels/reference.h"

namespace doppel::reference {

// With both sets around their means, p -> (a -b; b a) p is nearest for a = sum(p.q) / sum|p|^2, b = sum(p x q) /
// sum|p|^2; a mirrored map is the same after the y of `from` changes its sign.
static Similarity fit_kind(const std::vector<Point>& from, const std::vector<Point>& to, double mirror) {
  const double count = double(from.size());
  double fx = 0, fy = 0, gx = 0, gy = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    fx += double(from[i].x) / count, fy += double(from[i].y) / count;
    gx += double(to[i].x) / count, gy += double(to[i].y) / count;
  }
  double dot = 0, cross = 0, square = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const double px = double(from[i].x) - fx, py = mirror * (double(from[i].y) - fy);
    const double qx = double(to[i].x) - gx, qy = double(to[i].y) - gy;
    dot += px * qx + py * qy, cross += px * qy - py * qx, square += px * px + py * py;
  }
  const double a = dot / square, b = cross / square;
  Similarity m{a, -b * mirror, 0, b, a * mirror, 0, 0};
  m.tx = gx - m.a * fx - m.b * fy;
  m.ty = gy - m.c * fx - m.d * fy;
  for (size_t i = 0; i < from.size(); ++i) {
    const double x = double(from[i].x), y = double(from[i].y);
    m.residual += std::pow(m.a * x + m.b * y + m.tx - double(to[i].x), 2) +
                  std::pow(m.c * x + m.d * y + m.ty - double(to[i].y), 2);
  }
  return m;
}

Similarity fit_similarity(const std::vector<Point>& from, const std::vector<Point>& to) {
  const Similarity plain = fit_kind(from, to, 1), mirrored = fit_kind(from, to, -1);
  return plain.residual <= mirrored.residual ? plain : mirrored;
}

// Bilinear, 0..1; outside the face its border is repeated.
static double sample_face(const uint8_t* face, int size, double x, double y, int channel) {
  const double cx = std::clamp(x, 0.0, size - 1.0), cy = std::clamp(y, 0.0, size - 1.0);
  const int x0 = std::min(int(cx), size - 2), y0 = std::min(int(cy), size - 2);
  const double fx = cx - x0, fy = cy - y0;
  const auto pixel = [&](int i, int j) { return face[(size_t(i) * size_t(size) + size_t(j)) * 3 + size_t(channel)]; };
  return ((1 - fy) * ((1 - fx) * pixel(y0, x0) + fx * pixel(y0, x0 + 1)) +
          fy * ((1 - fx) * pixel(y0 + 1, x0) + fx * pixel(y0 + 1, x0 + 1))) /
         255;
}

Warped warp(const Warp& warp, const WarpSample& sample, const uint8_t* face, const float shift[3]) {
  const int t = warp.out_size;
  // Where a pixel's centre falls in the face, and the map's derivatives there: columns x and y of each.
  struct Landing {
    double at[2], right[2], down[2];
  };
  // Node column i lies at the output coordinate i T / 4 - 1/2: the outer nodes at the outer edges of the pixels.
  const auto through_nodes = [&](int u, int v) {
    const double cell = double(t) / (kWarpNodes - 1), gx = (u + 0.5) / cell, gy = (v + 0.5) / cell;
    const int i = int(gx), j = int(gy);
    const double fx = gx - i, fy = gy - j;
    Landing l;
    for (const int axis : {0, 1}) {
      const auto node = [&](int row, int column) {
        const Point& p = sample.nodes[row][column];
        return double(axis == 0 ? p.x : p.y);
      };
      const double a = node(j, i), b = node(j, i + 1), c = node(j + 1, i), d = node(j + 1, i + 1);
      l.at[axis] = (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * c + fx * d);
      l.right[axis] = ((1 - fy) * (b - a) + fy * (d - c)) / cell;
      l.down[axis] = ((1 - fx) * (c - a) + fx * (d - b)) / cell;
    }
    return l;
  };
  const auto through_target = [&](int u, int v) {
    const Affine& m = sample.target;
    const double a = double(m.a), b = double(m.b), c = double(m.c), d = double(m.d);
    return Landing{{a * u + b * v + double(m.tx), c * u + d * v + double(m.ty)}, {a, c}, {b, d}};
  };
  const auto picture = [&](auto&& map) {
    Doubles out;
    for (int v = 0; v < t; ++v)
      for (int u = 0; u < t; ++u)
        for (int c = 0; c < 3; ++c) {
          const Landing l = map(u, v);
          double sum = 0;
          for (const double q : {-0.25, 0.25})
            for (const double p : {-0.25, 0.25})
              sum += sample_face(face, warp.face_size, l.at[0] + p * l.right[0] + q * l.down[0],
                                 l.at[1] + p * l.right[1] + q * l.down[1], c);
          const double colour = double(sample.gain) * (sum / 4 + double(shift[c])) + double(sample.offset);
          out.push_back(std::clamp(colour, 0.0, 1.0));
        }
    return out;
  };
  return {picture(through_nodes), picture(through_target)};
}

}  // namespace doppel::reference
