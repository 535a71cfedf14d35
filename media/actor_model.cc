#include "media/actor_model.h"

#include "kernels/parallel.h"
#include "media/actor_frame.h"
#include "media/actor_raster.h"

namespace doppel {

void bake_occlusion(const std::vector<Surface*>& lit, const std::vector<const Surface*>& casters) {
  // Directions spread evenly over the sphere (a spiral by the golden angle), those from below counting less.
  constexpr int kDirections = 56;
  std::vector<std::vector<float>> seen(lit.size()), total(lit.size());
  for (size_t s = 0; s < lit.size(); ++s) {
    seen[s].assign(lit[s]->vertices.size(), 0);
    total[s].assign(lit[s]->vertices.size(), 1e-3f);
  }
  ShadowMap map;
  for (int k = 0; k < kDirections; ++k) {
    const float y = 1 - (2 * float(k) + 1) / kDirections, r = std::sqrt(1 - y * y), a = float(k) * 2.39996323f;
    const Vec3 to_light{r * std::cos(a), y, r * std::sin(a)};
    const float weight = y > -0.1f ? 1.0f : 0.45f;
    map.begin(to_light, {0, -0.5f, -0.1f}, 2.1f);
    for (const Surface* caster : casters) map.draw(caster->shadow_triangles, caster->vertices.data());
    for (size_t s = 0; s < lit.size(); ++s) {
      parallel_for(int64_t(lit[s]->vertices.size()), 4096, [&](int64_t begin, int64_t end) {
        for (size_t i = size_t(begin); i < size_t(end); ++i) {
          const Vertex& v = lit[s]->vertices[i];
          const float facing = dot(v.normal, to_light) * weight;
          if (facing <= 0) continue;
          seen[s][i] += facing * map.lit(v.position, v.normal);
          total[s][i] += facing;
        }
      });
    }
  }
  for (size_t s = 0; s < lit.size(); ++s) {
    for (size_t i = 0; i < seen[s].size(); ++i) lit[s]->vertices[i].open = seen[s][i] / total[s][i];
  }
}

namespace {

HeadModel build(Actor who) {
  HeadModel model;
  model.traits = &traits(who);
  build_face(model);
  set_grid_normals(model, model.face.vertices);
  build_parts(model);
  build_hair(model);
  Surface body = build_body(who);
  bake_occlusion({&model.face, &model.ears, &model.curtain}, {&model.face, &model.ears, &model.curtain, &body});
  return model;
}

Surface build_dressed(Actor who) {
  Surface body = build_body(who);
  const HeadModel& head = head_model(who);
  bake_occlusion({&body}, {&head.face, &body});
  return body;
}

}  // namespace

const HeadModel& head_model(Actor who) {
  if (who == Actor::a) {
    static const HeadModel a = build(Actor::a);
    return a;
  }
  static const HeadModel b = build(Actor::b);
  return b;
}

const Surface& body_model(Actor who) {
  if (who == Actor::a) {
    static const Surface a = build_dressed(Actor::a);
    return a;
  }
  static const Surface b = build_dressed(Actor::b);
  return b;
}

}  // namespace doppel
