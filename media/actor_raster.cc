#include "media/actor_raster.h"

namespace doppel {
namespace {

// Calls put(x, y, depth, wa, wb, wc) at each sample inside the triangle; depth is linear over the picture, which is
// exact enough for triangles of a few samples.
template <typename Put>
inline void scan(Vec3 a, Vec3 b, Vec3 c, int width, int height, bool cull, Put&& put) {
  float area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
  if (area > 0 && cull) return;
  if (area == 0) return;
  const int x0 = std::max(int(std::ceil(std::min({a.x, b.x, c.x}))), 0);
  const int x1 = std::min(int(std::floor(std::max({a.x, b.x, c.x}))), width - 1);
  const int y0 = std::max(int(std::ceil(std::min({a.y, b.y, c.y}))), 0);
  const int y1 = std::min(int(std::floor(std::max({a.y, b.y, c.y}))), height - 1);
  if (x0 > x1 || y0 > y1) return;
  const float inverse = 1 / area;
  const float bx = (c.y - a.y) * inverse, by = -(c.x - a.x) * inverse;
  const float cx = -(b.y - a.y) * inverse, cy = (b.x - a.x) * inverse;
  for (int y = y0; y <= y1; ++y) {
    for (int x = x0; x <= x1; ++x) {
      const float dx = float(x) - a.x, dy = float(y) - a.y;
      const float wb = dx * bx + dy * by, wc = dx * cx + dy * cy, wa = 1 - wb - wc;
      if (wa < 0 || wb < 0 || wc < 0) continue;
      put(x, y, wa * a.z + wb * b.z + wc * c.z, wa, wb, wc);
    }
  }
}

}  // namespace

void Visibility::clear(int w, int h) {
  width = w;
  height = h;
  depth.assign(size_t(w) * size_t(h), 1e30f);
  id.assign(size_t(w) * size_t(h), kNothing);
}

LidContour LidTable::at(float x) const {
  const float f = std::clamp((std::abs(x) - x0) / step, 0.0f, float(kSteps - 1) - 0.001f);
  const int i = int(f);
  const LidContour &a = side[x > 0][i], &b = side[x > 0][i + 1];
  return {mix(a.upper, b.upper, f - float(i)), mix(a.lower, b.lower, f - float(i))};
}

LidTable make_lids(const ActorTraits& t, float blink, float raise, float squint) {
  LidTable table;
  table.x0 = kEyeX - t.eye_length / 2;
  table.step = t.eye_length / (LidTable::kSteps - 1);
  for (int i = 0; i < LidTable::kSteps; ++i) {
    const float x = table.x0 + table.step * float(i);
    for (auto& side : table.side) side[i] = lid_contour(t, x, blink, raise, squint);
  }
  return table;
}

void draw_surface(Visibility& seen, const Surface& surface, const std::vector<Vec3>& screen, uint32_t number, bool cull,
                  const LidTable* lids) {
  const auto& index = surface.triangles;
  const uint32_t high = number << Visibility::kIndexBits;
  for (size_t i = 0; i + 2 < index.size(); i += 3) {
    const uint32_t ia = index[i], ib = index[i + 1], ic = index[i + 2];
    const bool opens = lids && i >= surface.lid_begin;
    const uint32_t id = high | uint32_t(i / 3);
    const bool outside_only = cull && !(i >= surface.mouth_begin && i < surface.lid_begin);
    scan(screen[ia], screen[ib], screen[ic], seen.width, seen.height, outside_only,
         [&](int x, int y, float z, float wa, float wb, float wc) {
           const size_t at = size_t(y) * size_t(seen.width) + size_t(x);
           if (z >= seen.depth[at]) return;
           if (opens) {
             const auto& v = surface.vertices;
             if (lids->opens(v[ia].rest * wa + v[ib].rest * wb + v[ic].rest * wc)) return;
           }
           seen.depth[at] = z;
           seen.id[at] = id;
         });
  }
}

void draw_strand(Visibility& seen, const Vec3* screen, uint32_t count, uint32_t first_index, uint32_t number,
                 float width) {
  const uint32_t high = number << Visibility::kIndexBits;
  for (uint32_t k = 0; k + 1 < count; ++k) {
    const Vec3 a = screen[k], b = screen[k + 1];
    const float dx = b.x - a.x, dy = b.y - a.y, longest = std::max(std::abs(dx), std::abs(dy));
    const int steps = std::min(int(longest) + 1, 64);
    const float thick = width * (1 - 0.6f * float(k) / float(count));
    const bool flat = std::abs(dx) > std::abs(dy);
    const int wide = thick > 1.3f ? 2 : 1;
    for (int s = 0; s < steps; ++s) {
      const float f = float(s) / float(steps), z = a.z + (b.z - a.z) * f;
      const int x = int(a.x + dx * f), y = int(a.y + dy * f);
      for (int o = 0; o < wide; ++o) {
        const int px = flat ? x : x + o, py = flat ? y + o : y;
        if (px < 0 || py < 0 || px >= seen.width || py >= seen.height) continue;
        const size_t at = size_t(py) * size_t(seen.width) + size_t(px);
        if (z >= seen.depth[at]) continue;
        seen.depth[at] = z;
        seen.id[at] = high | (first_index + k);
      }
    }
  }
}

void ShadowMap::begin(Vec3 to_light, Vec3 centre, float half) {
  to_light_ = to_light;
  right_ = normalize(cross(std::abs(to_light.y) < 0.95f ? Vec3{0, 1, 0} : Vec3{1, 0, 0}, to_light));
  up_ = cross(to_light_, right_);
  centre_ = centre;
  scale_ = kSize / (2 * half);
  height_.assign(size_t(kSize) * kSize, -1e30f);
}

Vec3 ShadowMap::place(Vec3 p) const {
  const Vec3 q = p - centre_;
  return {dot(q, right_) * scale_ + kSize * 0.5f, dot(q, up_) * scale_ + kSize * 0.5f, dot(q, to_light_)};
}

void ShadowMap::draw(const std::vector<uint32_t>& triangles, const Vertex* vertices) {
  for (size_t i = 0; i + 2 < triangles.size(); i += 3) {
    const Vec3 a = place(vertices[triangles[i]].position), b = place(vertices[triangles[i + 1]].position);
    const Vec3 c = place(vertices[triangles[i + 2]].position);
    scan(a, b, c, kSize, kSize, false, [&](int x, int y, float z, float, float, float) {
      float& h = height_[size_t(y) * kSize + size_t(x)];
      h = std::max(h, z);
    });
  }
}

float ShadowMap::lit(Vec3 p, Vec3 normal) const {
  const Vec3 q = place(p + normal * 0.022f + to_light_ * 0.012f);
  const int x = int(std::floor(q.x)) - 2, y = int(std::floor(q.y)) - 2;
  if (x < 0 || y < 0 || x + 6 > kSize || y + 6 > kSize) return 1;
  const float fx = q.x - std::floor(q.x), fy = q.y - std::floor(q.y);
  // 5x5 texels, the window slid by the fraction: 6 columns of which the outer two share a weight.
  float sum = 0;
  for (int j = 0; j < 6; ++j) {
    const float* row = &height_[size_t(y + j) * kSize + size_t(x)];
    const float wy = j == 0 ? 1 - fy : j == 5 ? fy : 1;
    float line = (row[0] <= q.z ? 1 - fx : 0) + (row[5] <= q.z ? fx : 0);
    for (int i = 1; i < 5; ++i) line += row[i] <= q.z ? 1.0f : 0.0f;
    sum += wy * line;
  }
  return sum * (1 / 25.0f);
}

}  // namespace doppel
