#include "media/actor_skin.h"

namespace doppel {
namespace {

constexpr Vec3 kBlush = {1.08f, 0.74f, 0.74f};  // more blood near the surface
constexpr Vec3 kShade = {0.74f, 0.66f, 0.66f};  // thin, darker skin round the eyes

float freckle(Vec3 p) {
  // One spot of random size in each cell of a jittered grid on the front of the face.
  const float cell = 0.034f;
  const int ix = int(std::floor(p.x / cell)), iy = int(std::floor(p.y / cell));
  float most = 0;
  for (int dy = -1; dy <= 1; ++dy) {
    for (int dx = -1; dx <= 1; ++dx) {
      const int gx = ix + dx, gy = iy + dy;
      if (hash01(gx, gy, 3) < 0.45f) continue;
      const float cx = (float(gx) + hash01(gx, gy, 1)) * cell, cy = (float(gy) + hash01(gx, gy, 2)) * cell;
      const float radius = mix(0.006f, 0.013f, hash01(gx, gy, 4));
      const float d = std::sqrt((p.x - cx) * (p.x - cx) + (p.y - cy) * (p.y - cy));
      most = std::max(most, smooth_step(radius, radius * 0.4f, d) * mix(0.4f, 1.0f, hash01(gx, gy, 5)));
    }
  }
  return most;
}

}  // namespace

float hair_depth(const ActorTraits& t, Vec3 p) {
  if (t.long_hair) return 0.07f + 0.02f * smooth_step(0.3f, 0.9f, p.y);
  return 0.045f + 0.085f * smooth_step(0.35f, 0.95f, p.y) * smooth_step(-0.9f, 0.3f, p.z);
}

void paint_skin(const ActorTraits& t, Vertex& v) {
  const Vec3 p = v.rest;
  const float x = std::abs(p.x), dy = p.y - kMouthY;
  const float front = smooth_step(0.2f, 0.45f, p.z);
  const float mottle = noise3(p * 9.0f) - 0.5f, fine = noise3(p * 31.0f + Vec3{7, 3, 1}) - 0.5f;
  Vec3 colour = t.skin * (1 + 0.10f * mottle + 0.07f * fine);
  colour = mix(colour, colour * Vec3{1.04f, 0.94f, 0.9f}, saturate(noise3(p * 17.0f + Vec3{1, 9, 4}) * 1.6f - 0.6f));

  const float cheeks = bell(x - 0.42f, 0.17f) * bell(p.y + 0.28f, 0.17f);
  const float nose = bell(x, 0.13f) * bell(p.y - t.nose_y, 0.12f) * smooth_step(0.85f, 0.98f, p.z);
  const float chin = bell(x, 0.18f) * bell(p.y + 1.0f, 0.12f);
  const float blush = front * saturate(0.75f * cheeks + 0.75f * nose + 0.35f * chin + 0.12f * bell(p.y - 0.45f, 0.25f));
  colour = mix(colour, colour * kBlush, saturate(t.redness * blush));
  const float socket = front * bell(x - 0.30f, 0.20f) * bell(p.y - 0.0f, 0.10f);
  colour = mix(colour, colour * kShade, (t.long_hair ? 0.6f : 0.4f) * socket);
  const float inner = front * bell(x - 0.19f, 0.05f) * bell(p.y + 0.02f, 0.08f);
  colour = mix(colour, colour * kShade, 0.3f * inner);
  v.gloss = mix(0.42f, 0.62f, saturate(nose + bell(x, 0.3f) * bell(p.y - 0.45f, 0.2f))) - 0.12f * cheeks;

  if (t.freckles > 0) {
    const float where =
        front * saturate(bell(x - 0.30f, 0.24f) * bell(p.y + 0.2f, 0.15f) + bell(x, 0.14f) * bell(p.y + 0.22f, 0.16f));
    colour = mix(colour, colour * Vec3{0.70f, 0.55f, 0.46f}, 0.75f * t.freckles * where * freckle(p));
  }
  if (t.stubble > 0) {
    const float lip = std::max(lip_edge(t, x, 1), 0.0f);
    const float moustache =
        smooth_step(lip + 0.01f, lip + 0.05f, dy) * smooth_step(0.215f, 0.16f, dy) * smooth_step(0.36f, 0.27f, x);
    const float jaw = smooth_step(-0.60f - 0.0f, -0.80f, p.y + 0.42f * smooth_step(0.30f, 0.66f, x)) *
                      smooth_step(-1.38f, -1.12f, p.y);
    const float below = 1 - bell(x, 0.2f) * smooth_step(-t.lower_lip - 0.075f, -t.lower_lip - 0.02f, dy);
    const float beard = saturate(std::max(moustache * front, jaw * below * smooth_step(-0.2f, 0.1f, p.z)));
    colour = mix(colour, colour * Vec3{0.60f, 0.63f, 0.70f}, 0.72f * t.stubble * beard);
    v.detail = t.stubble * beard;
  }

  // Lips, with fine upright creases.
  if (x < t.mouth * 1.05f && p.z > 0.5f && std::abs(dy) < 0.25f) {
    const float edge = dy >= 0 ? lip_edge(t, x, 1) - dy : lip_edge(t, x, -1) + dy;
    const float red = smooth_step(-0.007f, 0.012f, edge) * smooth_step(1.04f, 0.93f, x / t.mouth);
    const float crease = noise3({p.x * 70, p.y * 8, 2}) - 0.5f;
    Vec3 lips = t.lips * (1 + 0.22f * crease);
    lips = mix(lips, lips * Vec3{0.55f, 0.42f, 0.45f}, bell(dy, 0.022f));  // darker where they meet
    colour = mix(colour, lips, red);
    v.gloss = mix(v.gloss, 0.85f, red);
    v.detail *= 1 - red;
  }
  // Nostrils.
  const Vec3 hole = Vec3{x, p.y, p.z} - Vec3{t.nose_width * 0.56f, t.nose_y - 0.082f, t.nose_out - 0.085f};
  const float nostril = smooth_step(1.15f, 0.75f, length({hole.x / 0.040f, hole.y / 0.034f, hole.z / 0.070f}));
  colour = mix(colour, Vec3{0.035f, 0.012f, 0.009f}, 0.92f * nostril);
  v.gloss *= 1 - nostril;

  // Shadow of brow hair on the skin, the scalp under the hair.
  const float s = (x - 0.125f) / 0.40f;
  if (s > -0.1f && s < 1.1f && front > 0) {
    const Vec3 line = brow_line(t, saturate(s));
    const float thick = t.brow_thick * (1 - 0.55f * saturate(s));
    const float dense = bell(p.y - line.y, thick) * smooth_step(-0.08f, 0.08f, s) * smooth_step(1.08f, 0.85f, s);
    colour = mix(colour, mix(t.hair, t.skin * 0.35f, 0.35f), 0.62f * dense);
  }
  colour = mix(colour, t.hair * (0.7f + 0.5f * noise3({p.x * 40, p.y * 12, p.z * 12})), 0.93f * v.hair);
  v.gloss = mix(v.gloss, 0.0f, v.hair);
  v.colour = colour;
}

}  // namespace doppel
