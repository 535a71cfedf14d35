#include "media/actor_light.h"

#include <array>

namespace doppel {
namespace {

constexpr float kPi = 3.14159265f;

float pow5(float x) {
  return x * x * x * x * x;
}

// Trowbridge-Reitz (GGX) highlight with Schlick's Fresnel and the Kelemen visibility term 1 / (4 (v.h)^2).
float highlight(Vec3 normal, Vec3 view, Vec3 to_light, float roughness, float f0) {
  const float nl = dot(normal, to_light);
  if (nl <= 0) return 0;
  const Vec3 half = normalize(view + to_light);
  const float nh = saturate(dot(normal, half)), vh = std::max(dot(view, half), 0.25f);
  const float a2 = roughness * roughness * roughness * roughness;
  const float d = nh * nh * (a2 - 1) + 1;
  return nl * a2 / (kPi * d * d) * (f0 + (1 - f0) * pow5(1 - vh)) / (4 * vh * vh);
}

// Light that enters skin leaves beside where it came in: red furthest. So the edge of shade is wide in red.
Vec3 soft_diffuse(float nl, float lit) {
  const auto wrap = [nl](float w) {
    const float x = saturate((nl + w) / (1 + w));
    return x * x * (1.5f - 0.5f * x) * 0.55f + x * 0.45f;
  };
  const Vec3 shape{wrap(0.32f), wrap(0.15f), wrap(0.09f)};
  return shape * Vec3{std::sqrt(lit) * 0.35f + lit * 0.65f, lit, lit * (0.4f + 0.6f * lit)};
}

Vec3 around(const Light& light, Vec3 normal) {
  return mix(light.ground, light.sky, 0.5f + 0.5f * normal.y);
}

// Codes by the square root of the light, since dark tones need the finer steps.
constexpr int kSrgbSteps = 4096;
constexpr float kMostLight = 4;
const std::array<uint8_t, kSrgbSteps + 1> kSrgb = [] {
  std::array<uint8_t, kSrgbSteps + 1> t{};
  for (int i = 0; i <= kSrgbSteps; ++i) {
    const float s = float(i) / kSrgbSteps, x = s * s * kMostLight * 0.72f;
    const float shoulder = x * (2.51f * x + 0.03f) / (x * (2.43f * x + 0.59f) + 0.14f);
    const float y = mix(saturate(shoulder), saturate(x), 0.25f);
    const float code = y <= 0.0031308f ? 12.92f * y : 1.055f * std::pow(y, 1 / 2.4f) - 0.055f;
    t[size_t(i)] = uint8_t(std::lround(255 * saturate(code)));
  }
  return t;
}();

}  // namespace

Light make_light(const Performance& p) {
  const float az = p.light_azimuth * kPi / 180, el = p.light_elevation * kPi / 180;
  Light light;
  light.to_key = {std::sin(az) * std::cos(el), std::sin(el), std::cos(az) * std::cos(el)};
  const float w = p.light_warmth;
  light.key = Vec3{1 + 0.10f * w, 1 - 0.02f * w, 1 - 0.20f * w} * (1.6f * p.light_intensity);
  const float side = p.light_azimuth > 0 ? -1.0f : 1.0f;
  light.to_rim = normalize({side * 0.8f, 0.45f, -0.55f});
  const bool warm_room = p.place == Actor::a;
  light.rim = (warm_room ? Vec3{1.0f, 0.82f, 0.62f} : Vec3{0.72f, 0.92f, 1.0f}) * 0.75f;
  light.sky = (warm_room ? Vec3{0.62f, 0.57f, 0.53f} : Vec3{0.55f, 0.60f, 0.64f}) * p.fill;
  light.ground = (warm_room ? Vec3{0.34f, 0.28f, 0.24f} : Vec3{0.26f, 0.30f, 0.25f}) * p.fill;
  return light;
}

Vec3 shade_skin(const Light& light, const Vertex& v, Vec3 normal, Vec3 view, float lit) {
  const float nl = dot(normal, light.to_key), open = v.open;
  // Shut-in light has bounced off skin and is red.
  const Vec3 shut{0.6f * std::sqrt(open) + 0.4f * open, open, open * std::sqrt(open)};
  Vec3 in = light.key * soft_diffuse(nl, lit) + around(light, normal) * shut;
  const float rim = saturate(dot(normal, light.to_rim) * 0.8f + 0.2f);
  in = in + light.rim * (rim * rim * open);
  Vec3 out = v.colour * in;
  const float shine = highlight(normal, view, light.to_key, 0.52f, 0.028f) * 0.85f +
                      highlight(normal, view, light.to_key, 0.38f, 0.028f) * 0.3f;
  out = out + light.key * (shine * lit * v.gloss * 2.0f);
  const float edge = pow5(1 - saturate(dot(normal, view)));
  out = out +
        (light.sky * (0.03f + 0.22f * edge) + light.rim * (highlight(normal, view, light.to_rim, 0.5f, 0.04f) * 0.7f)) *
            (open * open * v.gloss);
  return out;
}

Vec3 shade_plain(const Light& light, const Vertex& v, Vec3 normal, Vec3 view, float lit) {
  const float nl = saturate(dot(normal, light.to_key));
  Vec3 out = v.colour * (light.key * (nl * lit) + around(light, normal) * v.open +
                         light.rim * (saturate(dot(normal, light.to_rim)) * v.open * 0.7f));
  return out + light.key * (highlight(normal, view, light.to_key, 0.35f, 0.04f) * v.gloss * lit);
}

Vec3 shade_hair(const Light& light, Vec3 colour, Vec3 tangent, Vec3 normal, Vec3 view, float open, float lit) {
  // Kajiya and Kay: a fibre is bright where the light crosses it; two highlights, white and of the hair's own colour.
  const auto lobe = [&](Vec3 to_light, float shift, int sharp) {
    const Vec3 t = normalize(tangent + normal * shift), half = normalize(view + to_light);
    const float th = dot(t, half), s = std::max(1 - th * th, 0.0f);
    float product = 1;
    for (float power = s; sharp > 0; sharp >>= 1, power *= power) product *= sharp & 1 ? power : 1;
    return product;
  };
  const float tl = dot(tangent, light.to_key);
  const float facing = saturate(0.25f + 0.75f * dot(normal, light.to_key));
  const float across = std::sqrt(std::max(1 - tl * tl, 0.0f)) * facing;
  Vec3 out = colour * (light.key * (across * lit * 0.8f) + around(light, normal) * (0.9f * open));
  const Vec3 tint = mix(colour * 3.0f, Vec3{0.25f, 0.25f, 0.25f}, 0.15f);
  out = out + light.key * tint * (lit * facing * 0.34f * lobe(light.to_key, 0.12f, 14));
  out = out + light.key * (lit * facing * 0.020f * lobe(light.to_key, -0.1f, 45));
  const float back = saturate(0.3f + 0.7f * dot(normal, light.to_rim));
  out = out + light.rim * tint * (back * open * 0.4f * lobe(light.to_rim, 0, 7));
  return out * mix(0.5f, 1.0f, open);
}

Vec3 shade_eye(const Light& light, const ActorTraits& t, Vec3 at, Vec3 normal, Vec3 view, float lid, float lit) {
  constexpr float kIris = 0.405f, kPupil = 0.155f;
  const float r = std::sqrt(at.x * at.x + at.y * at.y);
  Vec3 colour = mix(Vec3{0.68f, 0.63f, 0.59f}, Vec3{0.60f, 0.45f, 0.41f}, smooth_step(0.62f, 0.95f, std::abs(at.x)));
  if (at.z > 0 && r < kIris + 0.05f) {
    const float angle = std::atan2(at.y, at.x);
    const float fibre = noise3({std::cos(angle) * 9, std::sin(angle) * 9, r * 5}) * 0.6f +
                        noise3({std::cos(angle) * 24, std::sin(angle) * 24, r * 9}) * 0.4f;
    Vec3 iris = t.iris * (0.55f + 1.1f * fibre);
    iris = mix(iris, t.iris * Vec3{1.5f, 1.1f, 0.6f}, 0.6f * bell(r - 0.25f, 0.07f));
    // Light that entered the cornea gathers on the far side of the iris.
    iris = iris * (1 + 1.1f * saturate(-(at.x * light.to_key.x + at.y * light.to_key.y) / kIris));
    iris = iris * (1 - 0.75f * smooth_step(kIris - 0.11f, kIris - 0.01f, r));
    iris = mix(Vec3{0.004f, 0.004f, 0.004f}, iris, smooth_step(kPupil - 0.03f, kPupil + 0.03f, r));
    colour = mix(iris, colour, smooth_step(kIris - 0.025f, kIris + 0.03f, r));
  }
  const float shade = mix(0.22f, 1.0f, lid);
  const float nl = saturate(dot(normal, light.to_key) * 0.75f + 0.25f);
  Vec3 out = colour * (light.key * (nl * lit * shade * 0.75f) + around(light, normal) * (0.8f * shade));
  // The cornea bulges: its normal leans outwards more than the ball's does.
  const Vec3 mirror = view * -1 + normal * (2 * dot(view, normal));
  const float glint = smooth_step(0.975f, 0.99f, dot(mirror, normalize(light.to_key + Vec3{0, 0.05f, 0.55f})));
  out = out + light.key * (1.1f * glint * mix(0.4f, 1.0f, lid));
  out = out + light.sky * (0.05f * smooth_step(0.1f, 0.7f, mirror.y) * lid);
  return out;
}

uint8_t to_srgb(float linear) {
  const float s = std::sqrt(std::clamp(linear, 0.0f, kMostLight) * (1 / kMostLight));
  return kSrgb[size_t(s * kSrgbSteps + 0.5f)];
}

}  // namespace doppel
