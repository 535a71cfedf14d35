// Ears, eyes, the inside of the mouth and the clothed body.
#include "media/actor_model.h"

namespace doppel {
namespace {

constexpr float kPi = 3.14159265f;

// A sheet of [rows, columns] vertices placed by make(u, v), u and v from 0 to 1; `closed` joins the last column to the
// first.
template <typename Make>
void add_sheet(Surface& surface, int rows, int columns, bool closed, Make&& make) {
  const uint32_t base = uint32_t(surface.vertices.size());
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      Vertex v = make(float(c) / float(closed ? columns : columns - 1), float(r) / float(rows - 1));
      v.rest = v.position;
      surface.vertices.push_back(v);
    }
  }
  for (int r = 0; r + 1 < rows; ++r) {
    for (int c = 0; c < (closed ? columns : columns - 1); ++c) {
      const uint32_t a = base + uint32_t(r * columns + c), b = base + uint32_t(r * columns + (c + 1) % columns);
      const uint32_t d = a + uint32_t(columns), e = b + uint32_t(columns);
      surface.triangles.insert(surface.triangles.end(), {a, d, b, b, d, e});
    }
  }
}

// Every step-th vertex of one sheet for the light to see.
void add_coarse(Surface& surface, int rows, int columns, int step, bool closed) {
  for (int r = 0; r + step < rows; r += step) {
    for (int c = 0; c < (closed ? columns : columns - step); c += step) {
      const uint32_t a = uint32_t(r * columns + c), b = uint32_t(r * columns + (c + step) % columns);
      const uint32_t d = a + uint32_t(step * columns), e = b + uint32_t(step * columns);
      surface.shadow_triangles.insert(surface.shadow_triangles.end(), {a, d, b, b, d, e});
    }
  }
}

// Normals from the triangles, for surfaces that never bend.
void set_normals(Surface& surface) {
  auto& v = surface.vertices;
  for (auto& vertex : v) vertex.normal = {};
  for (size_t i = 0; i + 2 < surface.triangles.size(); i += 3) {
    Vertex &a = v[surface.triangles[i]], &b = v[surface.triangles[i + 1]], &c = v[surface.triangles[i + 2]];
    const Vec3 n = cross(b.position - a.position, c.position - a.position);
    a.normal = a.normal + n;
    b.normal = b.normal + n;
    c.normal = c.normal + n;
  }
  for (auto& vertex : v) vertex.normal = normalize(vertex.normal);
}

// Drops the vertices that no triangle uses.
void keep_used(Surface& surface) {
  std::vector<uint32_t> at(surface.vertices.size(), UINT32_MAX);
  std::vector<Vertex> kept;
  for (uint32_t& i : surface.triangles) {
    if (at[i] == UINT32_MAX) {
      at[i] = uint32_t(kept.size());
      kept.push_back(surface.vertices[i]);
    }
    i = at[i];
  }
  surface.vertices = std::move(kept);
}

constexpr float kCurtainZ = -0.12f;

// Half widths of the curtain of hair at a height.
Vec3 curtain_half(float y) {
  const float down = smooth_step(0.2f, -0.6f, y);
  return {mix(0.70f, 0.63f, smooth_step(-0.3f, -1.2f, y)), 0, mix(0.93f, 0.70f, down)};
}

// u runs round the rim, v from the middle to the rim; side is -1 or 1.
Vertex ear_point(const ActorTraits& t, float u, float v, float side) {
  const float angle = u * 2 * kPi, up = std::sin(angle), forward = std::cos(angle);
  const float lobe = smooth_step(-0.3f, -0.9f, up);
  const float half_width = mix(0.165f, 0.085f, lobe) * (forward > 0 ? 0.75f : 1.0f), half_height = 0.285f;
  const float fy = v * up * half_height, fz = v * forward * half_width - 0.03f * up;
  float out = 0.03f - 0.42f * std::min(fz, 0.06f);  // the back stands away from the head
  out += 0.042f * bell(v - 0.90f, 0.11f) * (1 - 0.6f * lobe) *
         (forward > 0.5f ? 1 - 1.6f * (forward - 0.5f) : 1);                                 // helix
  out += 0.030f * bell(v - 0.58f, 0.13f) * smooth_step(0.4f, -0.4f, forward);                // antihelix
  out -= 0.075f * bell(v, 0.36f);                                                            // the bowl
  out += 0.040f * bell(forward - 1, 0.35f) * bell(v - 0.5f, 0.25f) * bell(up + 0.1f, 0.4f);  // tragus
  out -= 0.10f * smooth_step(0.93f, 1.0f, v);
  Vertex e;
  e.position = {side * (0.685f + out), -0.13f + fy + 0.1f * fz, -0.07f + fz};
  e.colour = mix(t.skin * Vec3{1.0f, 0.80f, 0.78f}, t.skin * Vec3{0.6f, 0.36f, 0.34f}, bell(v, 0.3f));
  e.gloss = 0.35f;
  return e;
}

Surface half_ellipsoid(Part part, Vec3 centre, Vec3 radii, Vec3 colour, float gloss) {
  Surface s;
  s.part = part;
  add_sheet(s, 13, 24, true, [&](float u, float v) {
    const float a = u * 2 * kPi, b = v * kPi / 2;
    Vertex p;
    p.position = centre + Vec3{std::cos(a) * std::sin(b), std::sin(a) * std::sin(b), std::cos(b)} * radii;
    p.colour = colour;
    p.gloss = gloss;
    return p;
  });
  set_normals(s);
  return s;
}

// A row of teeth between two heights, on an arc round the tongue.
Surface teeth(float top, float bottom, float radius, float width, bool upper) {
  Surface s;
  s.part = Part::teeth;
  add_sheet(s, 8, 97, false, [&](float u, float v) {
    const float a = (u - 0.5f) * 1.75f, tooth = std::abs(a) / width;
    const float index = std::floor(tooth), within = tooth - index;
    const float gap = bell(within < 0.5f ? within : 1 - within, 0.07f);
    // Biting edges: each tooth a little rounded, the second a little shorter.
    const float edge = 0.006f * gap + (index == 1 ? 0.005f : 0.0f);
    const float y = upper ? mix(top, bottom + edge, v) : mix(top - edge, bottom, v);
    const float r = radius - 0.012f * gap - 0.03f * (upper ? 1 - v : v);
    Vertex p;
    p.position = {std::sin(a) * r * 0.92f, y, 0.562f + std::cos(a) * r};
    const float gum = upper ? smooth_step(0.35f, 0.15f, v) : smooth_step(0.65f, 0.85f, v);
    p.colour = mix(Vec3{0.70f, 0.65f, 0.55f} * (1 - 0.55f * gap) * (1 - 0.12f * std::min(index, 4.0f)),
                   Vec3{0.42f, 0.12f, 0.11f}, gum);
    p.gloss = 0.9f;
    return p;
  });
  set_normals(s);
  return s;
}

}  // namespace

float curtain_share(Vec3 p) {
  const Vec3 half = curtain_half(p.y);
  return std::sqrt(p.x * p.x / (half.x * half.x) + (p.z - kCurtainZ) * (p.z - kCurtainZ) / (half.z * half.z));
}

void build_parts(HeadModel& model) {
  const ActorTraits& t = *model.traits;
  for (float side : {-1.0f, 1.0f}) {
    add_sheet(model.ears, 26, 48, true, [&](float u, float v) { return ear_point(t, side < 0 ? u : 1 - u, v, side); });
  }
  set_normals(model.ears);
  for (auto& v : model.ears.vertices)
    v.normal = dot(v.normal, v.position) * v.position.x > 0 || v.normal.x * v.position.x > 0 ? v.normal : v.normal * -1;
  model.ears.shadow_triangles = model.ears.triangles;

  if (t.long_hair) {
    // What the strands that hang behind the ears lie on: without it one would see through them.
    add_sheet(model.curtain, 33, 65, false, [&](float u, float v) {
      const float a = (u - 0.5f) * 2.75f, y = mix(0.2f, -1.30f + 0.09f * noise3({u * 30, 1, 1}), v);
      const Vec3 half = curtain_half(y);
      Vertex h;
      h.position = {half.x * std::sin(a), y, kCurtainZ - half.z * std::cos(a)};
      h.colour = t.hair * (0.25f + 0.45f * noise3({u * 75, v * 2.5f, 3}));
      h.hair = 1;
      h.gloss = 0;
      return h;
    });
    set_normals(model.curtain);
    add_coarse(model.curtain, 33, 65, 4, false);
  }

  model.eye.part = Part::eye;
  add_sheet(model.eye, 17, 32, true, [&](float u, float v) {
    const float a = u * 2 * kPi, b = v * kPi * 0.62f;
    Vertex e;
    e.position = Vec3{std::cos(a) * std::sin(b), std::sin(a) * std::sin(b), std::cos(b)} * kEyeRadius;
    e.normal = normalize(e.position);
    return e;
  });
  // Behind the lids, in the corners that the ball does not fill: the skin once more, moist and pink, a little deeper.
  model.eye_bed.vertices = model.face.vertices;
  model.eye_bed.triangles.assign(model.face.triangles.begin() + std::ptrdiff_t(model.face.lid_begin),
                                 model.face.triangles.end());
  keep_used(model.eye_bed);
  for (auto& v : model.eye_bed.vertices) {
    v.position = v.position - v.normal * 0.021f;
    v.colour = {0.52f, 0.36f, 0.32f};
    v.gloss = 0.9f;
    v.open = 0.7f;
    v.hair = v.detail = 0;
  }
  model.upper_teeth = teeth(kMouthY + 0.10f, kMouthY - 0.035f, 0.255f, 0.30f, true);
  model.lower_teeth = teeth(kMouthY - 0.035f, kMouthY - 0.15f, 0.235f, 0.20f, false);
  model.tongue =
      half_ellipsoid(Part::mouth, {0, kMouthY - 0.14f, 0.50f}, {0.20f, 0.075f, 0.27f}, {0.40f, 0.11f, 0.10f}, 0.6f);
  model.bag = half_ellipsoid(Part::mouth, {0, kMouthY - 0.06f, 0.42f}, {0.34f, 0.36f, 0.10f}, kMouthLining, 0);
}

Surface build_body(Actor who) {
  // Rings down the body: centre height, half widths, how far the ring's front hangs below its back.
  struct Ring {
    float y, rx, rz, cz, drop;
  };
  static constexpr Ring kRings[] = {{-1.50f, 0.475f, 0.46f, -0.30f, 0.13f}, {-1.36f, 0.505f, 0.49f, -0.29f, 0.14f},
                                    {-1.38f, 0.56f, 0.54f, -0.28f, 0.15f},  {-1.47f, 0.62f, 0.57f, -0.27f, 0.14f},
                                    {-1.56f, 0.78f, 0.58f, -0.26f, 0.10f},  {-1.68f, 1.08f, 0.60f, -0.24f, 0.06f},
                                    {-1.82f, 1.36f, 0.62f, -0.22f, 0.02f},  {-2.02f, 1.60f, 0.66f, -0.20f, 0},
                                    {-2.40f, 1.74f, 0.74f, -0.18f, 0},      {-3.00f, 1.78f, 0.82f, -0.16f, 0},
                                    {-3.90f, 1.78f, 0.86f, -0.16f, 0}};
  constexpr int kCount = int(std::size(kRings));
  Surface s;
  s.part = Part::cloth;
  const bool knit = who == Actor::a;
  add_sheet(s, 121, 128, true, [&](float u, float v) {
    const float at = v * (kCount - 1);
    const int k = std::min(int(at), kCount - 2);
    const float f = at - float(k);
    const Ring &p0 = kRings[std::max(k - 1, 0)], &p1 = kRings[k], &p2 = kRings[k + 1],
               &p3 = kRings[std::min(k + 2, kCount - 1)];
    const auto curve = [f](float a, float b, float c, float d) {
      return b + 0.5f * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)));
    };
    const float angle = u * 2 * kPi, sx = std::sin(angle), cz = std::cos(angle);
    const float rx = curve(p0.rx, p1.rx, p2.rx, p3.rx), rz = curve(p0.rz, p1.rz, p2.rz, p3.rz);
    const float drop = curve(p0.drop, p1.drop, p2.drop, p3.drop) * (knit ? 1.0f : 1.35f);
    Vertex c;
    c.position = {sx * rx, curve(p0.y, p1.y, p2.y, p3.y) - drop * cz * (cz > 0 ? 1 : 0.4f),
                  curve(p0.cz, p1.cz, p2.cz, p3.cz) + cz * rz};
    // Folds that run from the shoulders inwards, and the collar's ribs.
    const Vec3 q = c.position;
    const float fold =
        noise3({q.x * 2.2f + q.y * 1.4f, q.y * 1.1f, 4}) + 0.5f * noise3({q.x * 5 - q.y * 4, q.y * 2, 9}) - 0.75f;
    const float below = smooth_step(-1.6f, -2.1f, q.y);
    c.position = c.position + Vec3{0.2f * sx, 0.3f, cz} * (0.06f * fold * below);
    const bool collar = at < 3.1f;
    const float rib = knit ? (collar ? 0.86f + 0.14f * std::sin(u * 128 * kPi * 0.98f) : 1.0f) : 1.0f;
    const Vec3 cloth = knit ? Vec3{0.03f, 0.045f, 0.08f} : Vec3{0.30f, 0.27f, 0.225f};
    c.colour = cloth * rib * (collar ? 0.85f : 1.0f) * (0.92f + 0.16f * noise3(q * 23.0f));
    c.gloss = 0.1f;
    return c;
  });
  set_normals(s);
  add_coarse(s, 121, 128, 4, true);
  return s;
}

}  // namespace doppel
