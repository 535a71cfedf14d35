// The face's mesh: rays from an axis inside the head outwards to the distance field, so that rows stay level in the
// face; then lips, folds and lids are raised on it, and the expressions are written down as movements of its vertices.
#include <vector>

#include "kernels/parallel.h"
#include "media/actor_model.h"
#include "media/actor_skin.h"

namespace doppel {
namespace {

constexpr float kPi = 3.14159265f;
constexpr float kTopY = 0.5f, kBottomY = -0.75f;

struct Row {
  Vec3 origin;
  float elevation;
};

Vec3 axis_point(float y) {
  return {0, y, mix(-0.05f, -0.25f, smooth_step(-0.3f, kBottomY, y))};
}

// Fans over the crown and under the jaw, level rows between; the two rows of the closed lips lie 0.0036 apart.
std::vector<Row> make_rows(int& lip_row) {
  std::vector<Row> rows;
  const int fan = 44;
  for (int i = 0; i < fan; ++i) rows.push_back({axis_point(kTopY), (1 - float(i) / fan) * 89 * kPi / 180});
  float y = kTopY;
  while (y > kBottomY) {
    rows.push_back({axis_point(y), 0});
    const bool fine = (y < 0.1f && y > -0.1f) || (y < -0.36f && y > -0.53f) || (y < -0.57f && y > -0.8f);
    const float next = y - (fine ? 0.0062f : 0.0095f);
    if (y > kMouthY && next <= kMouthY) {
      rows.push_back({axis_point(kMouthY + 0.0018f), 0});
      lip_row = int(rows.size()) - 1;
      rows.push_back({axis_point(kMouthY - 0.0018f), 0});
      y = kMouthY - 0.0018f - 0.006f;
    } else {
      y = next;
    }
  }
  const int under = 84;
  for (int i = 0; i <= under; ++i) rows.push_back({axis_point(kBottomY), -float(i) / under * 74 * kPi / 180});
  return rows;
}

// Angles round the head from 0 (front) to pi, densest at the nose.
std::vector<float> make_half_columns() {
  std::vector<float> angles;
  float degrees = 0;
  while (degrees < 180 - 1.5f) {
    angles.push_back(degrees * kPi / 180);
    degrees += degrees < 13 ? 0.36f : degrees < 48 ? 0.56f : degrees < 85 ? 0.95f : 3.0f;
  }
  angles.push_back(kPi);
  return angles;
}

Vec3 find_skin(const ActorTraits& t, Vec3 origin, Vec3 direction) {
  float s = 2.6f;
  for (int step = 0; step < 90; ++step) {
    const float d = head_distance(t, origin + direction * s);
    if (d < 3e-4f || s < 0.05f) break;
    s -= d * 0.85f;
  }
  return origin + direction * s;
}

// Rays graze the sides of the nose, where neighbours may hit far apart: they are drawn together until no comb shows.
void smooth_nose(std::vector<Vec3>& skin, int rows, int halves) {
  for (int pass = 0; pass < 6; ++pass) {
    std::vector<Vec3> before = skin;
    for (int r = 1; r + 1 < rows; ++r) {
      for (int c = 1; c + 1 < halves; ++c) {
        const size_t i = size_t(r) * size_t(halves) + size_t(c);
        const Vec3 p = before[i];
        const float side =
            smooth_step(0.02f, 0.06f, p.x) * smooth_step(0.30f, 0.22f, p.x) * smooth_step(0.5f, 0.6f, p.z);
        const float level = smooth_step(-0.49f, -0.43f, p.y) * smooth_step(0.15f, 0.05f, p.y);
        if (side * level <= 0) continue;
        const size_t up = i - size_t(halves), down = i + size_t(halves);
        const Vec3 mean = (before[up] + before[down] + before[i - 1] + before[i + 1]) * 0.25f;
        skin[i] = {mix(p.x, mean.x, 0.6f * side * level), p.y, mix(p.z, mean.z, 0.6f * side * level)};
      }
    }
  }
}

// Rise of lips, philtrum and folds over the smooth head, towards the viewer.
float relief(const ActorTraits& t, Vec3 p) {
  if (p.z < 0.35f || p.y > 0.4f) return 0;
  const float x = std::abs(p.x), dy = p.y - kMouthY, m = x / t.mouth;
  float z = 0;
  if (m < 1.25f) {
    const float inside = saturate(1 - m * m);
    const float upper = std::max(lip_edge(t, x, 1), 0.006f), lower = std::max(lip_edge(t, x, -1), 0.006f);
    const float u = dy / upper, l = -dy / lower;
    if (dy >= 0) {
      z += std::sqrt(inside) * 0.034f * std::sin(kPi * saturate(std::pow(u, 0.75f) / 1.25f)) * (u < 1.25f ? 1 : 0);
      z += 0.012f * inside * bell((u - 1.08f) * upper, 0.012f);  // the pale rim of the red
    } else {
      z += std::sqrt(inside) * 0.046f * std::sin(kPi * saturate(std::pow(l, 0.8f) / 1.2f)) * (l < 1.2f ? 1 : 0);
    }
    z -= 0.050f * std::sqrt(inside) * bell(dy, 0.017f);                                  // the lips turn in
    z -= 0.022f * bell(m - 1.02f, 0.14f) * bell(dy, 0.045f);                             // corners
    z += 0.010f * bell(x, 0.035f) * bell(dy - 0.35f * t.upper_lip, 0.6f * t.upper_lip);  // the bow's middle
    const float groove = smooth_step(0.9f * t.upper_lip, 1.2f * t.upper_lip, dy) * smooth_step(0.235f, 0.18f, dy);
    z += groove * (-0.014f * bell(x, 0.024f) + 0.009f * bell(x - 0.047f, 0.02f));  // philtrum
    z -= 0.026f * bell(dy + t.lower_lip + 0.055f, 0.045f) * bell(x, 0.17f);        // above the chin
  }
  // From the wing of the nose past the corner of the mouth.
  const Vec3 a{0.165f, -0.43f, 0}, b{t.mouth + 0.055f, -0.67f, 0}, q{x, p.y, 0};
  const float s = saturate(dot(q - a, b - a) / dot(b - a, b - a));
  const float off = (q.x - mix(a, b, s).x) - 0.012f * std::sin(kPi * s);
  const float away = length(q - mix(a, b, s));
  z += (0.008f * bell(off - 0.04f, 0.045f) - 0.009f * bell(off, 0.025f)) *
       bell(std::max(away - std::abs(off), 0.0f), 0.05f);
  // Lids: a fold above the upper one, a rim along both, a soft hollow below.
  const float corner_out = kEyeX + t.eye_length / 2, corner_in = kEyeX - t.eye_length / 2;
  if (x > corner_in - 0.05f && x < corner_out + 0.06f && std::abs(p.y) < 0.25f) {
    const LidContour lids = lid_contour(t, x);
    const float along =
        smooth_step(corner_in - 0.03f, corner_in + 0.04f, x) * smooth_step(corner_out + 0.05f, corner_out - 0.03f, x);
    z -= along * 0.017f * bell(p.y - lids.upper - t.lid_fold, 0.012f);
    z += along * 0.011f * bell(p.y - lids.upper - t.lid_fold - 0.03f, 0.02f);
    z += along * 0.007f * bell(p.y - lids.upper, 0.014f) + along * 0.007f * bell(p.y - lids.lower, 0.014f);
    z -= along * 0.008f * bell(p.y - lids.lower + 0.07f, 0.025f);
  }
  return z;
}

// The lips do not meet in a straight line: the bow hangs in the middle, the corners lie a little higher.
float lip_bend(const ActorTraits& t, Vec3 p) {
  if (p.z < 0.3f) return 0;
  const float m = std::min(std::abs(p.x) / t.mouth, 1.6f);
  return bell(p.y - kMouthY, 0.12f) *
         (-0.010f * bell(m, 0.22f) + 0.010f * bell(m - 0.5f, 0.25f) + 0.016f * bell(m - 1.05f, 0.35f));
}

// How far the lower jaw carries a point: none at the upper lip, all at the lower, torn apart only between the corners.
float jaw_weight(const ActorTraits& t, Vec3 p, bool below_gap) {
  const float x = std::abs(p.x), dy = kMouthY - p.y;
  const float beyond = std::max(x - t.mouth, 0.0f);
  const float soft = 0.03f + 0.75f * beyond;
  float w = smooth_step(-soft, soft, dy);
  if (beyond == 0) {
    const float tie = 0.5f * std::pow(x / t.mouth, 5.0f);  // the lips meet at the corners
    const float lip = below_gap ? 1 - tie : tie;
    w = below_gap ? std::max(lip, mix(lip, 1.0f, smooth_step(0, 0.2f, dy))) : lip * smooth_step(0.22f, 0, -dy);
  }
  const float reach = smooth_step(-0.10f, 0.45f, p.z + 0.25f * dy);
  return w * reach * smooth_step(-1.5f, -1.15f, p.y + 0.3f * smooth_step(0.4f, 0.1f, p.z));
}

void add_expressions(HeadModel& model, size_t i, bool below_gap) {
  const ActorTraits& t = *model.traits;
  const Vec3 p = model.face.vertices[i].rest;
  const float x = std::abs(p.x), side = p.x < 0 ? -1.0f : 1.0f, dy = p.y - kMouthY,
              front = smooth_step(0.1f, 0.4f, p.z);
  const Vec3 arm = p - kJawPivot;
  const float w = jaw_weight(t, p, below_gap);
  model.shapes[kJaw][i] = Vec3{-side * 0.02f * std::exp(-dy * dy / 0.04f) * bell(x - t.mouth, 0.15f),
                               -kJawAngle * arm.z * w, kJawAngle * arm.y * w * 0.8f};
  const float corner = bell(x - t.mouth - 0.03f, 0.22f) * bell(dy, 0.17f) * front;
  const float cheek = bell(x - 0.43f, 0.16f) * bell(p.y + 0.33f, 0.15f) * front;
  const float lips = bell(x, t.mouth * 1.5f) * bell(dy, 0.2f) * front;
  model.shapes[kSmile][i] = Vec3{side * 0.055f, 0.062f, -0.045f} * corner + Vec3{side * 0.006f, 0.03f, 0.032f} * cheek +
                            Vec3{0, 0, -0.02f} * (lips * (1 - corner));
  model.shapes[kPucker][i] = Vec3{-p.x * 0.42f, dy * 0.12f, 0.075f} * lips;
  model.shapes[kWide][i] = Vec3{side * 0.042f, 0, -0.02f} * corner + Vec3{0, -dy * 0.18f, -0.012f} * lips;
  const float brow =
      bell(p.y - t.brow_y - 0.02f, 0.15f) * smooth_step(0.02f, 0.16f, p.y) * front * smooth_step(0.75f, 0.5f, x);
  model.shapes[kBrow][i] = Vec3{0, 0.062f * brow * (1 - 0.25f * bell(x, 0.1f)), 0.008f * brow};
}

void add_triangles(HeadModel& model) {
  Surface& face = model.face;
  const int rows = model.rows, columns = model.columns;
  const ActorTraits& t = *model.traits;
  std::vector<uint32_t> lids, round_mouth;
  for (int r = 0; r + 1 < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const uint32_t a = uint32_t(r * columns + c), b = uint32_t(r * columns + (c + 1) % columns);
      const uint32_t d = a + uint32_t(columns), e = b + uint32_t(columns);
      const Vec3 p = face.vertices[a].rest, q = face.vertices[b].rest;
      const float x = std::max(std::abs(p.x), std::abs(q.x));
      if (r == model.lip_row && x < t.mouth && p.z > 0) continue;  // the mouth
      const bool lid = p.z > 0.4f && std::abs(p.y) < 0.2f && x > 0.12f && x < 0.55f;
      const bool mouth = p.z > -0.2f && std::abs(p.y - kMouthY) < 0.45f;
      auto& list = lid ? lids : mouth ? round_mouth : face.triangles;
      list.insert(list.end(), {a, d, b, b, d, e});
    }
  }
  face.mouth_begin = face.triangles.size();
  face.triangles.insert(face.triangles.end(), round_mouth.begin(), round_mouth.end());
  face.lid_begin = face.triangles.size();
  face.triangles.insert(face.triangles.end(), lids.begin(), lids.end());
  const int step = 3;
  for (int r = 0; r + step < rows; r += step) {
    for (int c = 0; c < columns; c += step) {
      const uint32_t a = uint32_t(r * columns + c), b = uint32_t(r * columns + std::min(c + step, columns) % columns);
      const uint32_t d = a + uint32_t(step * columns), e = b + uint32_t(step * columns);
      face.shadow_triangles.insert(face.shadow_triangles.end(), {a, d, b, b, d, e});
    }
  }
}

}  // namespace

float lip_edge(const ActorTraits& t, float x, float side) {
  const float m = std::min(std::abs(x) / t.mouth, 1.0f);
  if (side > 0)
    return t.upper_lip * (1 - std::pow(m, 1.7f)) +
           t.cupid * (bell(std::abs(x) - 0.05f, 0.035f) - 1.6f * bell(x, 0.028f));
  return t.lower_lip * std::pow(1 - m * m, 0.8f);
}

void build_face(HeadModel& model) {
  const ActorTraits& t = *model.traits;
  const std::vector<Row> rows = make_rows(model.lip_row);
  const std::vector<float> half = make_half_columns();
  const int halves = int(half.size());
  model.rows = int(rows.size());
  model.columns = 2 * (halves - 1);
  const size_t count = size_t(model.rows) * size_t(model.columns);
  model.face.vertices.resize(count);
  model.neck.resize(count);
  for (auto& shape : model.shapes) shape.resize(count);
  std::vector<Vec3> skin(size_t(model.rows) * size_t(halves));
  parallel_for(model.rows, 4, [&](int64_t begin, int64_t end) {
    for (int r = int(begin); r < int(end); ++r) {
      for (int c = 0; c < halves; ++c) {
        const Row& row = rows[size_t(r)];
        const float ce = std::cos(row.elevation), angle = half[size_t(c)];
        const Vec3 direction{std::sin(angle) * ce, std::sin(row.elevation), std::cos(angle) * ce};
        skin[size_t(r) * size_t(halves) + size_t(c)] = find_skin(t, row.origin, direction);
      }
    }
  });
  smooth_nose(skin, model.rows, halves);
  parallel_for(model.rows, 4, [&](int64_t begin, int64_t end) {
    for (int r = int(begin); r < int(end); ++r) {
      for (int c = 0; c < halves; ++c) {
        Vec3 p = skin[size_t(r) * size_t(halves) + size_t(c)];
        p.z += relief(t, p);
        const float hair = smooth_step(-0.01f, 0.06f, hairline(t, p));
        p = p + normalize(p - Vec3{0, 0.2f, -0.1f}) * (hair_depth(t, p) * smooth_step(-0.02f, 0.25f, hairline(t, p)));
        for (int mirror = 0; mirror < 2; ++mirror) {
          const int column = mirror ? (model.columns - c) % model.columns : c;
          const size_t i = size_t(r) * size_t(model.columns) + size_t(column);
          Vertex& v = model.face.vertices[i];
          v.rest = v.position = {mirror ? -p.x : p.x, p.y, p.z};
          v.position.y += lip_bend(t, p);
          v.hair = hair;
          paint_skin(t, v);
          const float down = smooth_step(-0.95f, -1.65f, p.y) * smooth_step(0.62f, 0.30f, p.z);
          model.neck[i] = down;
          add_expressions(model, i, r > model.lip_row);
        }
      }
    }
  });
  add_triangles(model);
}

}  // namespace doppel
