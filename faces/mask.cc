#include "faces/mask.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace doppel {
namespace {

constexpr float kTemple = 0.09f;  // of the distance between the brows' ends
// What networks are shown reaches this far beyond the face (fractions of their square), so that a face whose outline
// is another's fits, and fades over this width.
constexpr float kSurround = 0.07f, kSurroundFade = 0.06f;

float cross(Point o, Point a, Point b) {
  return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

// Andrew's monotone chain (1979): the convex hull without collinear points, counter-clockwise where y points up.
std::vector<Point> convex_hull(std::vector<Point> points) {
  std::sort(points.begin(), points.end(), [](Point a, Point b) { return a.x < b.x || (a.x == b.x && a.y < b.y); });
  std::vector<Point> hull;
  for (int pass = 0; pass < 2; ++pass) {
    const size_t start = hull.size();
    for (const Point p : points) {
      while (hull.size() >= start + 2 && cross(hull[hull.size() - 2], hull.back(), p) <= 0) hull.pop_back();
      hull.push_back(p);
    }
    hull.pop_back();  // the other chain's first point
    std::reverse(points.begin(), points.end());
  }
  return hull;
}

// Signed distance from the hull's edge, positive inside, of the pixels of one row. Edge by edge, so that the inner loop
// runs over pixels and vectorises.
void depth_of_row(const std::vector<Point>& hull, int y, int size, float* depth, float* nearest) {
  std::fill_n(depth, size, INFINITY);  // the smallest distance from the edges' lines, negative outside any of them
  std::fill_n(nearest, size, INFINITY);
  for (size_t i = 0; i < hull.size(); ++i) {
    const Point a = hull[i], b = hull[(i + 1) % hull.size()];
    const float ex = b.x - a.x, ey = b.y - a.y, py = float(y) - a.y;
    const float inverse = 1 / (ex * ex + ey * ey);
    for (int x = 0; x < size; ++x) {
      const float px = float(x) - a.x;
      const float t = std::min(std::max((px * ex + py * ey) * inverse, 0.0f), 1.0f);
      const float dx = px - t * ex, dy = py - t * ey;
      nearest[x] = std::min(nearest[x], dx * dx + dy * dy);
      depth[x] = std::min(depth[x], ex * py - ey * px);
    }
  }
  for (int x = 0; x < size; ++x) depth[x] = std::copysign(std::sqrt(nearest[x]), depth[x]);
}

// 0 at or below 0, 1 at or above 1, with flat ends.
float smoothstep(float t) {
  t = std::clamp(t, 0.0f, 1.0f);
  return t * t * (3 - 2 * t);
}

}  // namespace

void face_mask(const Landmarks& landmarks, int size, const MaskOptions& options, float* mask) {
  if (size < 2 || !(options.feather > 0)) throw std::invalid_argument("face_mask: size below 2 or no feather");
  // The forehead has no landmarks: the brows, moved away from the nose tip along the nose's line.
  const Point tip = landmarks[30];
  const Point brow{(landmarks[21].x + landmarks[22].x) / 2, (landmarks[21].y + landmarks[22].y) / 2};
  const Point up{(brow.x - tip.x) * options.forehead, (brow.y - tip.y) * options.forehead};
  std::vector<Point> points(landmarks.begin(), landmarks.begin() + 27);
  // Their ends are raised outwards as well: they lie on the hull's edge, where the original's would show through.
  const Point across{(landmarks[26].x - landmarks[17].x) * kTemple, (landmarks[26].y - landmarks[17].y) * kTemple};
  for (size_t i = 17; i < 27; ++i) {
    const float outwards = i == 17 ? -1.0f : i == 26 ? 1.0f : 0.0f;
    points.push_back({landmarks[i].x + up.x + outwards * across.x, landmarks[i].y + up.y + outwards * across.y});
  }
  const std::vector<Point> hull = convex_hull(std::move(points));
  if (hull.size() < 3) {  // landmarks on a line: there is no face to replace
    std::fill_n(mask, size_t(size) * size_t(size), 0.0f);
    return;
  }
  const float side = float(size);
  const float edge = options.erode * side, width = options.feather * side;
  std::vector<float> depth(static_cast<size_t>(size)), nearest(static_cast<size_t>(size));
  for (int y = 0; y < size; ++y) {
    depth_of_row(hull, y, size, depth.data(), nearest.data());
    for (int x = 0; x < size; ++x) {
      const float inside = (depth[size_t(x)] - edge) / width;
      // The square's own border, 0 at the centres of its outermost pixels, so that a face that reaches over it fades
      // too.
      const float border = float(std::min({x, y, size - 1 - x, size - 1 - y})) / width;
      mask[size_t(y) * size_t(size) + size_t(x)] = smoothstep(inside) * (options.border ? smoothstep(border) : 1.0f);
    }
  }
}

namespace {

// `rounding` is added before the conversion to T.
template <typename T>
void fade_to(float grey, float rounding, T* face, const Landmarks& landmarks, int size, float part) {
  std::vector<float> mask(size_t(size) * size_t(size));
  surround_mask(landmarks, size, part, mask.data());
  for (size_t i = 0; i < mask.size(); ++i) {
    for (size_t c = 3 * i; c < 3 * i + 3; ++c) face[c] = T(grey + mask[i] * (float(face[c]) - grey) + rounding);
  }
}

}  // namespace

void surround_mask(const Landmarks& landmarks, int size, float part, float* mask) {
  MaskOptions options;
  options.erode = -kSurround * part;
  options.feather = kSurroundFade * part;
  options.border = false;
  face_mask(landmarks, size, options, mask);
}

void clear_surround(uint8_t* face, const Landmarks& landmarks, int size, float part) {
  fade_to(127.5f, 0.5f, face, landmarks, size, part);
}

void clear_surround(float* face, const Landmarks& landmarks, int size, float part) {
  fade_to(0.5f, 0, face, landmarks, size, part);
}

}  // namespace doppel
