// One frame of an actor: everything posed, projected, and who is seen where.
#pragma once

#include <vector>

#include "media/actor_light.h"
#include "media/actor_raster.h"

namespace doppel {

// What stands above Visibility::kIndexBits.
enum Piece : uint32_t {
  kFace,
  kEars,
  kLeftEye,
  kRightEye,
  kUpperTeeth,
  kLowerTeeth,
  kTongue,
  kBag,
  kEyeBed,
  kCurtain,
  kBody,
  kSurfaces,
  kHair = kSurfaces,
  kBrows,
  kLashes
};

struct PosedSurface {
  Surface surface;           // posed: positions and normals in camera space
  std::vector<Vec3> screen;  // each vertex projected
};

struct PosedStrands {
  std::vector<Vec3> points, screen;  // camera space; projected
  std::vector<Vec3> colours;         // lit, linear light
};

struct Frame {
  Mat3 head;      // head space to camera space, about kNeckPivot
  Mat3 gaze;      // eye to head
  Camera camera;  // of the samples, two a pixel each way
  Light light;
  float mouth_open;  // 0 shut .. 1: how much light finds the teeth
  LidTable lids;
  ShadowMap shadow;
  PosedSurface surfaces[kSurfaces];
  PosedStrands hair, brows, lashes;
  Visibility seen;

  Vec3 to_camera(Vec3 p) const { return head * (p - kNeckPivot) + kNeckPivot; }
  Vec3 to_head(Vec3 p) const { return transposed_times(head, p - kNeckPivot) + kNeckPivot; }
};

// Poses `who` for `p` at size x size pixels into `frame`, whose buffers are used again from frame to frame.
void pose_frame(Frame& frame, Actor who, const Performance& p, int size);

// Colours seen at sample (x, y) of `frame`, linear light; the sample must show something.
Vec3 shade_sample(const Frame& frame, const HeadModel& model, float x, float y, uint32_t id);

// Normals of the face's vertices from their positions.
void set_grid_normals(const HeadModel& model, std::vector<Vertex>& vertices);

// The room behind, [size / 4 + 2 squared] linear light, to be enlarged.
struct Backdrop {
  int side = 0;
  std::vector<Vec3> colours;
  Vec3 at(float x, float y) const;  // pixel
};
Backdrop make_backdrop(const Performance& p, int size);

}  // namespace doppel
