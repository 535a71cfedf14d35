// What is seen at each sample of a picture, and what a light sees.
#pragma once

#include <vector>

#include "media/actor_model.h"

namespace doppel {

// Pinhole on the z axis looking along -z; samples have their centres at integers.
struct Camera {
  float focal = 1, distance = 9, centre_x = 0, centre_y = 0;
  // x and y in samples, z the distance from the camera.
  Vec3 project(Vec3 p) const {
    const float depth = distance - p.z, k = focal / depth;
    return {centre_x + p.x * k, centre_y - p.y * k, depth};
  }
};

// Nearest triangle (or hair segment) at each sample.
struct Visibility {
  static constexpr uint32_t kNothing = ~0u;
  static constexpr uint32_t kIndexBits = 26;  // the surface's number stands above them
  int width = 0, height = 0;
  std::vector<float> depth;  // [height, width]
  std::vector<uint32_t> id;  // [height, width]
  void clear(int w, int h);
};

// The lids of both eyes in a frame, sampled along x so that a test costs a look-up.
struct LidTable {
  static constexpr int kSteps = 128;
  float x0 = 0, step = 1;
  LidContour side[2][kSteps];  // [left, right in the picture]
  bool opens(Vec3 rest) const {
    const LidContour c = at(rest.x);
    return rest.y < c.upper && rest.y > c.lower;
  }
  LidContour at(float x) const;
};
LidTable make_lids(const ActorTraits& t, float blink, float raise, float squint);

// Draws a surface; screen[i] is vertex i projected. Faces turned away are left out when `cull`.
void draw_surface(Visibility& seen, const Surface& surface, const std::vector<Vec3>& screen, uint32_t number, bool cull,
                  const LidTable* lids);

// Draws segments between consecutive points of a strand; the id's index is that of the segment's first point.
void draw_strand(Visibility& seen, const Vec3* screen, uint32_t count, uint32_t first_index, uint32_t number,
                 float width);

// Depth seen by a distant light, over a square of the scene.
class ShadowMap {
 public:
  static constexpr int kSize = 288;
  // to_light is a unit vector; `half` is half the square's side round `centre`.
  void begin(Vec3 to_light, Vec3 centre, float half);
  void draw(const std::vector<uint32_t>& triangles, const Vertex* vertices);
  // 0 in shadow .. 1 lit, filtered over 5x5 texels.
  float lit(Vec3 p, Vec3 normal) const;

 private:
  Vec3 place(Vec3 p) const;
  Vec3 to_light_, right_, up_, centre_;
  float scale_ = 1;
  std::vector<float> height_;  // [kSize, kSize] along to_light_, the highest wins
  std::vector<Vec3> placed_;
};

}  // namespace doppel
