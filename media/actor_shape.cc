#include "media/actor_shape.h"

namespace doppel {
namespace {

float ellipsoid(Vec3 p, Vec3 centre, Vec3 radii) {
  const Vec3 q = p - centre;
  const Vec3 a{q.x / radii.x, q.y / radii.y, q.z / radii.z};
  const Vec3 b{a.x / radii.x, a.y / radii.y, a.z / radii.z};
  const float k0 = length(a), k1 = length(b);
  return k1 < 1e-6f ? -std::min({radii.x, radii.y, radii.z}) : k0 * (k0 - 1) / k1;
}

float sphere(Vec3 p, Vec3 centre, float radius) {
  return length(p - centre) - radius;
}

// A capsule whose radius goes from ra to rb.
float cone(Vec3 p, Vec3 a, Vec3 b, float ra, float rb) {
  const Vec3 ab = b - a, ap = p - a;
  const float t = saturate(dot(ap, ab) / dot(ab, ab));
  return length(ap - ab * t) - mix(ra, rb, t);
}

constexpr ActorTraits kA{.jaw_width = 0.435f,
                         .jaw_y = -0.60f,
                         .chin_width = 0.17f,
                         .chin_y = -1.02f,
                         .chin_z = 0.73f,
                         .cheek = 0.19f,
                         .cheek_x = 0.45f,
                         .cranium_x = 0.755f,
                         .brow_ridge = 0.075f,
                         .nose_y = -0.385f,
                         .nose_width = 0.120f,
                         .nose_tip = 0.092f,
                         .nose_out = 1.085f,
                         .bridge = 0.066f,
                         .mouth = 0.265f,
                         .upper_lip = 0.068f,
                         .lower_lip = 0.094f,
                         .cupid = 0.012f,
                         .eye_height = 0.096f,
                         .eye_tilt = 0.004f,
                         .eye_length = 0.272f,
                         .lid_fold = 0.036f,
                         .brow_y = 0.195f,
                         .brow_thick = 0.043f,
                         .brow_arch = 0.02f,
                         .neck = 0.505f,
                         .skin = {0.56f, 0.358f, 0.238f},
                         .lips = {0.43f, 0.185f, 0.145f},
                         .iris = {0.115f, 0.058f, 0.022f},
                         .hair = {0.030f, 0.020f, 0.014f},
                         .stubble = 1,
                         .freckles = 0,
                         .redness = 0.8f,
                         .long_hair = false};

constexpr ActorTraits kB{.jaw_width = 0.375f,
                         .jaw_y = -0.54f,
                         .chin_width = 0.125f,
                         .chin_y = -1.035f,
                         .chin_z = 0.70f,
                         .cheek = 0.215f,
                         .cheek_x = 0.465f,
                         .cranium_x = 0.74f,
                         .brow_ridge = 0.045f,
                         .nose_y = -0.365f,
                         .nose_width = 0.108f,
                         .nose_tip = 0.078f,
                         .nose_out = 1.06f,
                         .bridge = 0.052f,
                         .mouth = 0.255f,
                         .upper_lip = 0.082f,
                         .lower_lip = 0.108f,
                         .cupid = 0.02f,
                         .eye_height = 0.112f,
                         .eye_tilt = 0.022f,
                         .eye_length = 0.288f,
                         .lid_fold = 0.042f,
                         .brow_y = 0.225f,
                         .brow_thick = 0.029f,
                         .brow_arch = 0.035f,
                         .neck = 0.45f,
                         .skin = {0.47f, 0.223f, 0.125f},
                         .lips = {0.46f, 0.125f, 0.115f},
                         .iris = {0.05f, 0.115f, 0.085f},
                         .hair = {0.115f, 0.040f, 0.016f},
                         .stubble = 0,
                         .freckles = 1,
                         .redness = 1.1f,
                         .long_hair = true};

}  // namespace

const ActorTraits& traits(Actor who) {
  return who == Actor::a ? kA : kB;
}

float head_distance(const ActorTraits& t, Vec3 p) {
  p.x = std::abs(p.x);
  // Skull and the masses of the face.
  float d = ellipsoid(p, {0, 0.32f, -0.12f}, {t.cranium_x, 0.83f, 0.97f});
  d = smooth_min(d, ellipsoid(p, {0, 0.26f, 0.24f}, {0.60f, 0.58f, 0.68f}), 0.2f);
  d = smooth_min(d, ellipsoid(p, {0, -0.36f, 0.25f}, {0.575f, 0.62f, 0.58f}), 0.2f);
  d = smooth_min(d, sphere(p, {t.cheek_x, -0.215f, 0.47f}, t.cheek), 0.22f);
  d = smooth_min(d, ellipsoid(p, {0, -0.66f, 0.61f}, {0.31f, 0.27f, 0.305f}), 0.16f);  // round the teeth
  // Jaw: from the corner below the ear to the chin.
  const Vec3 corner{t.jaw_width, t.jaw_y, 0.06f}, chin{t.chin_width, t.chin_y, t.chin_z};
  d = smooth_min(d, cone(p, corner, {t.chin_width * 0.7f, t.chin_y + 0.03f, t.chin_z - 0.14f}, 0.14f, 0.12f), 0.25f);
  d = smooth_min(d, cone(p, corner, {0.545f, -0.1f, -0.02f}, 0.11f, 0.1f), 0.22f);
  d = smooth_min(d, ellipsoid(p, {0, chin.y, chin.z}, {chin.x + 0.05f, 0.13f, 0.15f}), 0.19f);
  // Neck with its two strong muscles and the voice box.
  d = smooth_min(d, cone(p, {0, -0.5f, -0.3f}, {0, -2.1f, -0.36f}, t.neck - 0.03f, t.neck + 0.05f), 0.12f);
  d = smooth_min(d, cone(p, {0.5f, -0.5f, -0.2f}, {0.1f, -1.75f, 0.1f}, 0.07f, 0.06f), 0.12f);
  if (t.stubble > 0) d = smooth_min(d, sphere(p, {0, -1.33f, 0.11f}, 0.06f), 0.12f);
  // Brow ridge; sockets; the ball of the eye under its lids.
  d = smooth_min(d, cone(p, {0.10f, 0.15f, 0.83f}, {0.46f, 0.20f, 0.66f}, t.brow_ridge, 0.07f), 0.12f);
  d = smooth_max(d, -ellipsoid(p, {0.31f, -0.005f, 0.90f}, {0.20f, 0.115f, 0.16f}), 0.11f);
  d = smooth_max(d, -sphere(p, {0.155f, 0.03f, 0.90f}, 0.06f), 0.12f);
  d = smooth_min(d, sphere(p, {kEyeX, kEyeY, kEyeZ}, kEyeRadius + 0.015f), 0.04f);
  // Nose: bridge, tip, wings, the wall between the nostrils; nostrils.
  const Vec3 tip{0, t.nose_y, t.nose_out};
  float nose = cone(p, {0, 0.10f, 0.80f}, tip + Vec3{0, 0.02f, -0.035f}, t.bridge, t.nose_tip * 0.78f);
  nose = smooth_min(nose, sphere(p, tip, t.nose_tip), 0.08f);
  nose = smooth_min(nose, ellipsoid(p, {t.nose_width, t.nose_y - 0.03f, t.nose_out - 0.135f}, {0.062f, 0.060f, 0.100f}),
                    0.075f);
  nose = smooth_min(nose, cone(p, tip + Vec3{0, -0.055f, -0.03f}, {0, t.nose_y - 0.09f, 0.88f}, 0.03f, 0.035f), 0.045f);
  d = smooth_min(d, nose, 0.12f);
  d = smooth_max(d,
                 -ellipsoid(p, {t.nose_width * 0.56f, t.nose_y - 0.095f, t.nose_out - 0.085f}, {0.032f, 0.035f, 0.06f}),
                 0.025f);
  return d;
}

LidContour lid_contour(const ActorTraits& t, float x) {
  return lid_contour(t, x, 0, 0, 0);
}

LidContour lid_contour(const ActorTraits& t, float x, float blink, float raise, float squint) {
  const float s = saturate((std::abs(x) - (kEyeX - t.eye_length / 2)) / t.eye_length);
  const float arc = 4 * s * (1 - s);
  const float base = kEyeY - 0.006f + t.eye_tilt * (2 * s - 1);
  // The upper lid is highest towards the nose, the lower one lowest towards the temple.
  const float open_upper = t.eye_height * 0.54f * std::pow(arc, 0.62f) * (1 + 0.25f * (0.5f - s));
  const float open_lower = -t.eye_height * 0.46f * std::pow(arc, 0.75f) * (1 - 0.25f * (0.5f - s));
  const float lower = open_lower * (1 - 0.45f * squint) + open_lower * blink * -0.12f;
  const float upper = mix(open_upper + raise * std::sqrt(arc), lower + 0.0015f, blink);
  return {base + std::max(upper, lower), base + lower};
}

float hairline(const ActorTraits& t, Vec3 p) {
  // Height of the hairline by the angle from the front: forehead, temple, sideburn, over and behind the ear, nape.
  struct Knot {
    float angle, y;
  };
  static constexpr Knot kShort[] = {{0, 0.70f},     {0.35f, 0.735f}, {0.62f, 0.64f},  {0.80f, 0.40f},
                                    {1.0f, 0.22f},  {1.22f, 0.10f},  {1.32f, -0.18f}, {1.46f, -0.2f},
                                    {1.56f, 0.08f}, {1.8f, 0.1f},    {2.0f, -0.35f},  {3.2f, -0.62f}};
  static constexpr Knot kLong[] = {{0, 0.74f},     {0.3f, 0.735f}, {0.62f, 0.66f},  {0.85f, 0.44f},
                                   {1.08f, 0.22f}, {1.25f, 0.10f}, {1.36f, -0.05f}, {1.46f, -0.05f},
                                   {1.56f, 0.08f}, {1.8f, 0.1f},   {2.0f, -0.4f},   {3.2f, -0.7f}};
  const auto& knots = t.long_hair ? kLong : kShort;
  const float angle = std::atan2(std::abs(p.x), p.z);
  float y = knots[0].y;
  for (size_t k = 0; k + 1 < std::size(knots); ++k) {
    if (angle < knots[k].angle) break;
    y = mix(knots[k].y, knots[k + 1].y, smooth_step(knots[k].angle, knots[k + 1].angle, angle));
  }
  return p.y - y;
}

Vec3 brow_line(const ActorTraits& t, float s) {
  const float x = mix(0.125f, 0.525f, s);
  const float rise =
      t.brow_arch * (s < 0.66f ? smooth_step(0, 0.66f, s) : 1 - 1.9f * smooth_step(0.5f, 1.0f, (s - 0.66f) / 0.68f));
  return {x, t.brow_y + rise - 0.012f * s, 0.9f};
}

}  // namespace doppel
