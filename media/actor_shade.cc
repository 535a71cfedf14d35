#include "media/actor_frame.h"

namespace doppel {
namespace {

// The vertex at a sample of a triangle, all 16 numbers mixed alike. A sample just outside (a pixel's centre stands for
// its four samples) is carried on along the triangle.
Vertex between(const PosedSurface& posed, uint32_t triangle, float x, float y) {
  const uint32_t* index = &posed.surface.triangles[size_t(triangle) * 3];
  const Vec3 a = posed.screen[index[0]], b = posed.screen[index[1]], c = posed.screen[index[2]];
  const float area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
  const float dx = x - a.x, dy = y - a.y;
  const float wb = std::clamp((dx * (c.y - a.y) - dy * (c.x - a.x)) / area, -0.5f, 1.5f);
  const float wc = std::clamp((dy * (b.x - a.x) - dx * (b.y - a.y)) / area, -0.5f, 1.5f);
  const float wa = 1 - wb - wc;
  static_assert(sizeof(Vertex) == 16 * sizeof(float));
  const float* pa = &posed.surface.vertices[index[0]].position.x;
  const float* pb = &posed.surface.vertices[index[1]].position.x;
  const float* pc = &posed.surface.vertices[index[2]].position.x;
  Vertex v;
  float* out = &v.position.x;
  for (int k = 0; k < 16; ++k) out[k] = wa * pa[k] + wb * pb[k] + wc * pc[k];
  return v;
}

// Whether a triangle shows its back; its winding is what draw_surface goes by.
bool from_behind(const PosedSurface& posed, uint32_t triangle) {
  const uint32_t* index = &posed.surface.triangles[size_t(triangle) * 3];
  const Vec3 a = posed.screen[index[0]], b = posed.screen[index[1]], c = posed.screen[index[2]];
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x) > 0;
}

// Pores: a fine bump on the normal that moves with the skin.
Vec3 with_pores(Vec3 normal, Vec3 rest, float strength) {
  const Vec3 q = rest * 58.0f;
  const float d = noise3(q);
  const Vec3 g{noise3(q + Vec3{0.5f, 0, 0}) - d, noise3(q + Vec3{0, 0.5f, 0}) - d, 0};
  return normalize(normal - g * strength);
}

// The edges of the lids: the dark root of the upper lashes, the wet pink rim below, the fold in shade.
void paint_lid(const LidTable& lids, float dark, Vertex& v) {
  const float x = std::abs(v.rest.x);
  const float x1 = lids.x0 + lids.step * (LidTable::kSteps - 1);
  const LidContour lid = lids.at(v.rest.x);
  const float beyond = std::max({lids.x0 - x, x - x1, 0.0f});
  const float up = v.rest.y - lid.upper, down = lid.lower - v.rest.y;
  const float inside = smooth_step(0.03f, 0.0f, beyond);
  if (up >= -0.002f) {
    v.colour = mix(v.colour, Vec3{0.018f, 0.011f, 0.009f},
                   dark * inside * smooth_step(0.021f, 0.006f, std::sqrt(up * up + beyond * beyond)));
  } else if (down >= -0.002f) {
    const float d = std::sqrt(down * down + beyond * beyond);
    v.colour = mix(v.colour, Vec3{0.50f, 0.27f, 0.23f}, 0.7f * inside * smooth_step(0.012f, 0.003f, d));
    v.colour = mix(v.colour, v.colour * Vec3{0.50f, 0.42f, 0.40f}, 0.75f * inside * bell(d - 0.018f, 0.010f));
    v.gloss = mix(v.gloss, 0.9f, smooth_step(0.012f, 0.003f, d));
  }
}

}  // namespace

Vec3 shade_sample(const Frame& frame, const HeadModel& model, float x, float y, uint32_t id) {
  const uint32_t piece = id >> Visibility::kIndexBits, index = id & ((1u << Visibility::kIndexBits) - 1);
  if (piece == kHair) return frame.hair.colours[index];
  if (piece == kBrows) return frame.brows.colours[index];
  if (piece == kLashes) return frame.lashes.colours[index] * (0.4f + 0.6f * frame.light.sky.y);
  const PosedSurface& posed = frame.surfaces[piece];
  Vertex v = between(posed, index, x, y);
  const Vec3 view = normalize(Vec3{0, 0, frame.camera.distance} - v.position);
  Vec3 normal = normalize(v.normal);
  if (piece != kFace && dot(normal, view) < 0) normal = normal * -1;
  const float lit = frame.shadow.lit(v.position, normal);
  switch (posed.surface.part) {
    case Part::skin: {
      if (piece == kFace && size_t(index) * 3 >= posed.surface.mouth_begin && from_behind(posed, index)) {
        v.colour = kMouthLining;  // the cheek from inside
        v.gloss = 0;
        v.open = 0.22f;
        return shade_plain(frame.light, v, normal * -1, view, 0.06f);
      }
      if (piece == kFace && v.hair < 0.9f) {
        if (std::abs(v.rest.y) < 0.12f && v.rest.z > 0.4f)
          paint_lid(frame.lids, model.traits->long_hair ? 0.9f : 0.78f, v);
        normal = with_pores(normal, v.rest, 0.16f * v.gloss);
        if (v.detail > 0.02f) {
          const float dot_noise = noise3({v.rest.x * 260, v.rest.y * 210, v.rest.z * 180});
          v.colour = v.colour * (1 - 0.5f * v.detail * smooth_step(0.45f, 0.8f, dot_noise));
        }
      }
      const Vec3 skin = shade_skin(frame.light, v, normal, view, lit);
      if (v.hair < 0.02f) return skin;
      const Vec3 along = normalize(cross(normal, Vec3{1, 0.2f, 0}));
      return mix(skin, shade_hair(frame.light, v.colour, along, normal, view, v.open * 0.6f, lit), v.hair);
    }
    case Part::eye: {
      const Vec3 in_head = frame.to_head(v.position);
      const LidContour lid = frame.lids.at(in_head.x);
      const float free =
          smooth_step(-0.012f, 0.058f, lid.upper - in_head.y) * smooth_step(-0.01f, 0.012f, in_head.y - lid.lower);
      return shade_eye(frame.light, *model.traits, normalize(v.rest), normal, view, free, 0.35f + 0.65f * lit);
    }
    case Part::teeth: {
      const Vec3 in_head = frame.to_head(v.position);
      v.open = 0.85f * frame.mouth_open * smooth_step(0.24f, 0.05f, std::abs(in_head.x)) *
               smooth_step(0.075f, 0.01f, std::abs(v.rest.y - kMouthY + 0.03f));
      return shade_plain(frame.light, v, normal, view, (0.25f + 0.3f * lit) * frame.mouth_open);
    }
    case Part::mouth:
      v.open = 0.22f;
      return shade_plain(frame.light, v, normal, view, 0.06f);
    case Part::cloth: {
      const float weave = 0.88f + 0.24f * noise3(v.rest * 90.0f);
      v.colour = v.colour * weave;
      return shade_plain(frame.light, v, normal, view, lit);
    }
  }
  return {};
}

}  // namespace doppel
