// Hair as strands: rooted on the scalp, led by a combed direction, kept at its height above the head.
#include "media/actor_model.h"
#include "media/actor_skin.h"

namespace doppel {
namespace {

// Height above the shell of hair that the mesh already carries, and the direction away from it.
struct Above {
  float height;
  Vec3 away;
};

Above above_shell(const ActorTraits& t, Vec3 p) {
  const auto height = [&](Vec3 q) {
    return head_distance(t, q) - hair_depth(t, q) * smooth_step(-0.02f, 0.25f, hairline(t, q));
  };
  const float e = 0.012f, d = head_distance(t, p);
  const Vec3 g{head_distance(t, p + Vec3{e, 0, 0}) - d, head_distance(t, p + Vec3{0, e, 0}) - d,
               head_distance(t, p + Vec3{0, 0, e}) - d};
  return {height(p), normalize(g)};
}

// Where the comb leads at p; `lock` is a slow noise that lets neighbours part into locks.
Vec3 combed_short(Vec3 p, Vec3 lock) {
  const float top = smooth_step(0.42f, 0.78f, p.y), front = smooth_step(-0.1f, 0.75f, p.z);
  const Vec3 crown = mix(Vec3{0.25f, 0.1f, -1}, Vec3{0.75f, 0.55f, -0.35f}, front);
  const Vec3 side{0, -0.75f, -0.7f};
  return mix(side, crown, top) + lock * 0.55f;
}

Vec3 combed_long(Vec3 p, Vec3 lock) {
  const float top = smooth_step(0.35f, 0.85f, p.y), away = p.x > 0.13f ? 1.0f : -1.0f;
  const float ear = smooth_step(0.5f, -0.1f, p.y);
  const Vec3 parting{away * 0.9f, 0.12f, -0.55f};
  const Vec3 behind{p.x * -0.15f, -0.9f, -0.65f};
  const Vec3 hanging{p.x * 0.05f, -1, 0.10f};
  return mix(mix(behind, parting, top), hanging, smooth_step(-0.15f, -0.45f, p.y) * ear) + lock * 0.30f;
}

Vec3 lock_noise(Vec3 p, float frequency) {
  const Vec3 q = p * frequency;
  return {noise3(q) - 0.5f, noise3(q + Vec3{31, 7, 2}) - 0.5f, noise3(q + Vec3{5, 17, 41}) - 0.5f};
}

void grow(const ActorTraits& t, Strands& hair, Vec3 root, int number) {
  const auto chance = [number](int what) { return hash01(number, what, 77); };
  const bool tall = t.long_hair;
  const float top = smooth_step(0.4f, 0.8f, root.y);
  const int points = tall ? 20 : 7;
  const float length = tall ? mix(1.25f, 1.9f, chance(1)) : mix(0.13f, 0.30f, top) * mix(0.75f, 1.2f, chance(1));
  const float step = length / float(points - 1);
  const float lift = tall ? 0.05f * chance(2) : mix(0.012f, 0.06f, top) * chance(2);
  Strand strand;
  strand.first = uint32_t(hair.points.size());
  strand.width = mix(0.9f, 2.0f, chance(3));
  strand.colour = t.hair * mix(0.6f, 1.5f, chance(4)) + Vec3{0.012f, 0.006f, 0.002f} * (chance(5) * chance(5));
  const Vec3 lock = lock_noise(root, 6.5f) + lock_noise(root, 17.0f) * 0.6f;
  const Vec3 own = Vec3{chance(6), chance(7), chance(8)} * 0.24f - Vec3{0.12f, 0.12f, 0.12f};
  Vec3 p = root;
  for (int k = 0; k < points; ++k) {
    const float s = float(k) / float(points - 1);
    const Above a = above_shell(t, p);
    const float want = lift * std::min(2.5f * s, 1.0f) + 0.004f;
    const bool hanging = tall && p.y < -0.35f;
    if (a.height < want || !hanging)
      p = p + a.away * std::clamp((want - a.height) * (k == 0 ? 1.0f : 0.7f), -0.05f, 0.06f);
    hair.points.push_back({p, mix(0.45f, 1.0f, saturate(0.15f + 0.6f * s + lift * 5))});
    Vec3 flow = tall ? combed_long(p, lock + own) : combed_short(p, lock + own);
    if (tall) flow = flow + lock_noise({p.x * 2, p.y * 0.9f, p.z * 2}, 3.0f) * 0.5f;
    if (!hanging) flow = flow - a.away * dot(flow, a.away);
    p = p + normalize(flow) * step;
    if (hanging) {
      // Back to the curtain, and behind the ear.
      const float pull = mix(1.0f, (1.01f + 0.07f * chance(9)) / curtain_share(p), 0.35f);
      p = {p.x * pull, p.y, std::min(-0.12f + (p.z + 0.12f) * pull, mix(p.z, -0.2f, 0.35f))};
      if (p.y < -1.18f - 0.2f * chance(10)) break;
    }
  }
  strand.count = uint16_t(hair.points.size() - strand.first);
  hair.strands.push_back(strand);
}

void grow_brows(HeadModel& model) {
  const ActorTraits& t = *model.traits;
  const auto& vertices = model.face.vertices;
  std::vector<uint32_t> near_brows;
  for (uint32_t i = 0; i < vertices.size(); ++i) {
    const Vec3 r = vertices[i].rest;
    if (r.z > 0.3f && std::abs(r.y - t.brow_y) < 0.12f && std::abs(r.x) > 0.08f && std::abs(r.x) < 0.58f)
      near_brows.push_back(i);
  }
  for (int side = -1; side <= 1; side += 2) {
    for (int n = 0; n < 300; ++n) {
      const auto chance = [&](int what) { return hash01(n, side, what + 900); };
      const float s = chance(1);
      const float thick = t.brow_thick * (1 - 0.55f * s) * (s < 0.1f ? 0.75f : 1);
      const Vec3 line = brow_line(t, s);
      const float x = float(side) * line.x, y = line.y + (chance(2) + chance(6) - 1.0f) * 1.25f * thick;
      uint32_t anchor = 0;
      float nearest = 1e9f;
      for (const uint32_t i : near_brows) {
        const Vec3 r = vertices[i].rest;
        const float d = (r.x - x) * (r.x - x) + (r.y - y) * (r.y - y);
        if (d < nearest) {
          nearest = d;
          anchor = i;
        }
      }
      // Upright at the nose, then lying towards the temple, the upper hairs bending down.
      const float lie = smooth_step(0.0f, 0.3f, s), bend = (y - line.y) / thick;
      const Vec3 along =
          normalize(Vec3{float(side) * mix(0.75f, 1, lie), mix(0.5f, -0.12f, lie) - 0.35f * bend, mix(0, -0.4f, s)});
      const Vec3 away = normalize(vertices[anchor].rest - Vec3{0, y, 0.1f});
      const float length = mix(0.05f, 0.085f, chance(3)) * (1 - 0.25f * s);
      Strand strand;
      strand.first = uint32_t(model.brows.points.size());
      strand.count = 4;
      strand.anchor = anchor;
      strand.width = mix(0.8f, 1.4f, chance(4));
      strand.colour = t.hair * mix(0.8f, 1.5f, chance(5));
      for (int k = 0; k < 4; ++k) {
        const float f = float(k) / 3;
        model.brows.points.push_back(
            {vertices[anchor].rest + along * (length * f) + away * (0.006f + 0.008f * f * (1 - f) * 4), 0.8f});
      }
      model.brows.strands.push_back(strand);
    }
  }
}

}  // namespace

void build_hair(HeadModel& model) {
  const ActorTraits& t = *model.traits;
  const auto& v = model.face.vertices;
  const auto& index = model.face.triangles;
  std::vector<float> sums;
  std::vector<uint32_t> where;
  float sum = 0;
  for (size_t i = 0; i + 2 < index.size(); i += 3) {
    const Vertex &a = v[index[i]], &b = v[index[i + 1]], &c = v[index[i + 2]];
    const float hair = (a.hair + b.hair + c.hair) / 3;
    if (hair < 0.25f || a.rest.y < -0.8f) continue;
    // More at the hairline, where the skin would show between them.
    const float edge = 1 + 2.0f * smooth_step(0.2f, 0.02f, hairline(t, a.rest)) * smooth_step(-0.2f, 0.3f, a.rest.z);
    sum += length(cross(b.rest - a.rest, c.rest - a.rest)) * edge;
    sums.push_back(sum);
    where.push_back(uint32_t(i));
  }
  const int count = t.long_hair ? 5200 : 9500;
  for (int n = 0; n < count; ++n) {
    const float pick = (float(n) + hash01(n, 1, 5)) / float(count) * sum;
    const size_t k =
        std::min(size_t(std::lower_bound(sums.begin(), sums.end(), pick) - sums.begin()), where.size() - 1);
    const Vertex &a = v[index[where[k]]], &b = v[index[where[k] + 1]], &c = v[index[where[k] + 2]];
    const float f = hash01(n, 2, 5), g = hash01(n, 3, 5) * (1 - f);
    grow(t, model.hair, a.rest * (1 - f - g) + b.rest * f + c.rest * g, n);
  }
  grow_brows(model);
}

}  // namespace doppel
