#include "media/actor_frame.h"

namespace doppel {
namespace {

constexpr float kDegree = 3.14159265f / 180;
// Seen from this far the picture's height is 4.25 units; nearer would swell the nose.
constexpr float kDistance = 9.0f, kUnitsHigh = 4.25f;

// Copies what never changes only when the buffer last held something else.
void begin_surface(PosedSurface& posed, const Surface& model) {
  if (posed.surface.vertices.size() != model.vertices.size() || posed.surface.triangles != model.triangles ||
      posed.surface.part != model.part) {
    posed.surface = model;
    posed.screen.resize(model.vertices.size());
    return;
  }
  std::copy(model.vertices.begin(), model.vertices.end(), posed.surface.vertices.begin());
}

void project_all(const Camera& camera, PosedSurface& posed) {
  for (size_t i = 0; i < posed.screen.size(); ++i) posed.screen[i] = camera.project(posed.surface.vertices[i].position);
}

template <typename Place, typename Turn>
void pose_rigid(const Camera& camera, PosedSurface& posed, const Surface& model, Place&& place, Turn&& turn) {
  begin_surface(posed, model);
  for (auto& v : posed.surface.vertices) {
    v.position = place(v.position);
    v.normal = turn(v.normal);
  }
  project_all(camera, posed);
}

Vec3 expressed(const HeadModel& model, const std::array<float, kExpressions>& amount, size_t i) {
  Vec3 p = model.face.vertices[i].position;
  for (int k = 0; k < kExpressions; ++k) p = p + model.shapes[size_t(k)][i] * amount[size_t(k)];
  return p;
}

void pose_strands(const Frame& frame, PosedStrands& posed, const Strands& model, float stray) {
  posed.points.resize(model.points.size());
  posed.screen.resize(model.points.size());
  posed.colours.resize(model.points.size());
  for (size_t i = 0; i < model.points.size(); ++i) {
    posed.points[i] = frame.to_camera(model.points[i].position);
    posed.screen[i] = frame.camera.project(posed.points[i]);
  }
  // Normal of a hair: away from the middle of the head, which is all that its shading needs.
  const Vec3 middle = frame.to_camera({0, 0.1f, -0.15f});
  const Vec3 eye{0, 0, frame.camera.distance};
  for (const Strand& strand : model.strands) {
    float lit = 1;
    for (uint32_t k = 0; k < strand.count; ++k) {
      const uint32_t i = strand.first + k, next = k + 1 < strand.count ? i + 1 : i, last = k > 0 ? i - 1 : i;
      const Vec3 p = posed.points[i];
      const Vec3 tangent = normalize(posed.points[next] - posed.points[last]), normal = normalize(p - middle);
      if (k % 3 == 0) lit = frame.shadow.lit(p + normal * stray, normal);
      posed.colours[i] =
          shade_hair(frame.light, strand.colour, tangent, normal, normalize(eye - p), model.points[i].open, lit);
    }
  }
}

// Lashes stand on the lids' edges, so they are made anew each frame.
void pose_lashes(Frame& frame, const HeadModel& model, float blink) {
  const ActorTraits& t = *model.traits;
  PosedStrands& lashes = frame.lashes;
  lashes.points.clear();
  lashes.colours.clear();
  const float dark = t.long_hair ? 1.0f : 0.4f, length = t.long_hair ? 0.058f : 0.034f;
  for (int side = -1; side <= 1; side += 2) {
    for (int n = 0; n < 64; ++n) {
      const bool lower = n >= 44;
      const float s = lower ? (float(n - 44) + 0.5f) / 20 * 0.8f + 0.15f : (float(n) + 0.5f) / 44;
      const float x = kEyeX + (s - 0.5f) * t.eye_length, sx = float(side) * x;
      const LidContour lid = frame.lids.at(sx);
      const float y = lower ? lid.lower : lid.upper;
      const float ex = x - kEyeX, r = kEyeRadius + 0.020f;
      const float z = kEyeZ + std::sqrt(std::max(r * r - ex * ex - y * y, 1e-4f));
      const float fan = (s - 0.42f) * 1.5f + (hash01(n, side, 3) - 0.5f) * 0.3f;
      const float reach = length * (lower ? 0.35f : 0.55f + 0.6f * s) * (0.8f + 0.4f * hash01(n, side, 4));
      const float rise = lower ? -0.6f : mix(0.55f, -0.45f, blink);
      Vec3 p{sx, y, z};
      Vec3 step = normalize(Vec3{float(side) * fan * 0.8f, rise * 0.55f, 1}) * (reach / 3);
      for (int k = 0; k < 4; ++k) {
        lashes.points.push_back(frame.to_camera(p));
        lashes.colours.push_back(Vec3{0.012f, 0.009f, 0.008f} * (lower ? 2.5f : 1.0f / dark));
        p = p + step;
        step = step + Vec3{0, (lower ? -0.2f : mix(0.42f, 0.15f, blink)) * reach / 3, -0.10f * reach};
      }
    }
  }
  lashes.screen.resize(lashes.points.size());
  for (size_t i = 0; i < lashes.points.size(); ++i) lashes.screen[i] = frame.camera.project(lashes.points[i]);
}

}  // namespace

void set_grid_normals(const HeadModel& model, std::vector<Vertex>& vertices) {
  const int rows = model.rows, columns = model.columns;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const size_t row = size_t(r) * size_t(columns), i = row + size_t(c);
      // The lips' own rows look only to their own side: across the mouth there is no skin.
      const bool mouth = std::abs(vertices[i].rest.x) < model.traits->mouth && vertices[i].rest.z > 0;
      const size_t above = r > 0 && !(mouth && r == model.lip_row + 1) ? i - size_t(columns) : i;
      const size_t below = r + 1 < rows && !(mouth && r == model.lip_row) ? i + size_t(columns) : i;
      const size_t left = row + size_t((c + columns - 1) % columns), right = row + size_t((c + 1) % columns);
      const Vec3 across = vertices[right].position - vertices[left].position;
      const Vec3 down = vertices[below].position - vertices[above].position;
      vertices[i].normal = normalize(cross(down, across));
    }
  }
}

void pose_frame(Frame& frame, Actor who, const Performance& p, int size) {
  const HeadModel& model = head_model(who);
  const ActorTraits& t = *model.traits;
  const float samples = 2.0f * float(size);
  frame.camera.distance = kDistance;
  frame.camera.focal = samples / kUnitsHigh * (kDistance - 0.4f) * p.scale;
  frame.camera.centre_x = samples * (0.5f + p.x) - 0.5f;
  frame.camera.centre_y = samples * (0.445f + p.y) - 0.5f;
  frame.head = head_rotation(p.yaw * kDegree, p.pitch * kDegree, p.roll * kDegree);
  frame.gaze = head_rotation(p.gaze_x * kDegree, p.gaze_y * kDegree, 0);
  frame.light = make_light(p);
  frame.mouth_open = smooth_step(0.02f, 0.3f, p.jaw);
  frame.lids = make_lids(t, p.blink, -0.0028f * p.gaze_y + 0.012f * std::max(p.brow, 0.0f), std::max(p.smile, -p.brow));

  // The face: expressions, then the turn of the head, of which the lower neck takes less and less.
  PosedSurface& face = frame.surfaces[kFace];
  begin_surface(face, model.face);
  const std::array<float, kExpressions> amount{p.jaw, p.smile, p.pucker, p.wide, p.brow};
  for (size_t i = 0; i < face.surface.vertices.size(); ++i) {
    const Vec3 q = expressed(model, amount, i);
    face.surface.vertices[i].position = mix(frame.to_camera(q), q, model.neck[i]);
  }
  set_grid_normals(model, face.surface.vertices);
  project_all(frame.camera, face);

  const auto to_camera = [&](Vec3 q) { return frame.to_camera(q); };
  const auto turn = [&](Vec3 n) { return frame.head * n; };
  pose_rigid(frame.camera, frame.surfaces[kEars], model.ears, to_camera, turn);
  const Mat3 look = frame.head * frame.gaze;
  for (int side = 0; side < 2; ++side) {
    const Vec3 centre = frame.to_camera({side ? kEyeX : -kEyeX, kEyeY, kEyeZ});
    pose_rigid(
        frame.camera, frame.surfaces[side ? kRightEye : kLeftEye], model.eye, [&](Vec3 q) { return centre + look * q; },
        [&](Vec3 n) { return look * n; });
  }
  const float jaw = kJawAngle * p.jaw;
  const auto with_jaw = [&](Vec3 q) {
    const Vec3 arm = q - kJawPivot;
    return frame.to_camera(q + Vec3{0, -jaw * arm.z, jaw * arm.y * 0.8f});
  };
  pose_rigid(frame.camera, frame.surfaces[kUpperTeeth], model.upper_teeth, to_camera, turn);
  pose_rigid(frame.camera, frame.surfaces[kLowerTeeth], model.lower_teeth, with_jaw, turn);
  pose_rigid(frame.camera, frame.surfaces[kTongue], model.tongue, with_jaw, turn);
  pose_rigid(frame.camera, frame.surfaces[kBag], model.bag, to_camera, turn);
  pose_rigid(frame.camera, frame.surfaces[kEyeBed], model.eye_bed, to_camera, turn);
  pose_rigid(frame.camera, frame.surfaces[kCurtain], model.curtain, to_camera, turn);
  const Mat3 shoulders = head_rotation(p.yaw * 0.18f * kDegree, 0, p.roll * 0.3f * kDegree);
  pose_rigid(
      frame.camera, frame.surfaces[kBody], body_model(p.place),
      [&](Vec3 q) { return shoulders * (q - kNeckPivot) + kNeckPivot; }, [&](Vec3 n) { return shoulders * n; });

  frame.shadow.begin(frame.light.to_key, {0, -0.35f, 0}, 1.9f);
  for (int k : {kFace, kEars, kCurtain, kBody}) {
    frame.shadow.draw(frame.surfaces[k].surface.shadow_triangles, frame.surfaces[k].surface.vertices.data());
  }

  pose_strands(frame, frame.hair, model.hair, 0.03f);
  pose_strands(frame, frame.brows, model.brows, 0.03f);
  for (const Strand& strand : model.brows.strands) {
    const Vec3 q =
        face.surface.vertices[strand.anchor].position - frame.to_camera(model.face.vertices[strand.anchor].position);
    for (uint32_t i = strand.first; i < strand.first + strand.count; ++i) {
      frame.brows.points[i] = frame.brows.points[i] + q;
      frame.brows.screen[i] = frame.camera.project(frame.brows.points[i]);
    }
  }
  pose_lashes(frame, model, p.blink);

  frame.seen.clear(2 * size, 2 * size);
  for (uint32_t k = 0; k < kSurfaces; ++k) {
    draw_surface(frame.seen, frame.surfaces[k].surface, frame.surfaces[k].screen, k,
                 k == kFace || k == kEyeBed || k == kLeftEye || k == kRightEye, k == kFace ? &frame.lids : nullptr);
  }
  // Hairs keep their width on the head whatever the size of the picture.
  const float width = float(size) / 512 * p.scale;
  for (const Strand& s : model.hair.strands) {
    draw_strand(frame.seen, &frame.hair.screen[s.first], s.count, s.first, kHair, s.width * width);
  }
  for (const Strand& s : model.brows.strands) {
    draw_strand(frame.seen, &frame.brows.screen[s.first], s.count, s.first, kBrows, s.width * width);
  }
  for (uint32_t i = 0; i < frame.lashes.points.size(); i += 4)
    draw_strand(frame.seen, &frame.lashes.screen[i], 4, i, kLashes, 1.2f * width);
}

}  // namespace doppel
