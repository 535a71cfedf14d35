// The shape and the colours of an actor's head, in head space: x to the picture's right, y up, z towards the viewer.
// One unit is about 98 mm: the chin is at y = -1.15, the eyes at 0, the crown at 1.15; half the face's width is 0.7.
// The proportions are the anthropometric averages (eye distance 63 mm, eye 30 mm, nose 51 mm, mouth 51 mm and so on).
#pragma once

#include "media/actor_math.h"
#include "media/actors.h"

namespace doppel {

constexpr float kEyeX = 0.32f, kEyeY = 0.0f, kEyeZ = 0.628f, kEyeRadius = 0.150f;
constexpr float kMouthY = -0.68f;                 // where the lips meet
constexpr Vec3 kJawPivot = {0, -0.22f, -0.02f};   // the joint in front of the ears
constexpr Vec3 kNeckPivot = {0, -0.62f, -0.28f};  // what the head turns about
constexpr float kJawAngle = 0.2f;                 // radians at jaw = 1

struct ActorTraits {
  // Shape.
  float jaw_width, jaw_y, chin_width, chin_y, chin_z, cheek, cheek_x, cranium_x, brow_ridge;
  float nose_y, nose_width, nose_tip, nose_out, bridge;
  float mouth, upper_lip, lower_lip, cupid;  // half the width, heights of the red, depth of the bow
  float eye_height, eye_tilt, eye_length, lid_fold, brow_y, brow_thick, brow_arch, neck;
  // Colours, linear light.
  Vec3 skin, lips, iris, hair;
  float stubble, freckles, redness;
  bool long_hair;
};

const ActorTraits& traits(Actor who);

// Distance (a lower bound is enough) to the skin at rest without lips and lids, which are added on the mesh.
float head_distance(const ActorTraits& t, Vec3 p);

// The opening of the eye: upper and lower lid height at x (|x| is used), at rest, open; equal beyond the corners.
struct LidContour {
  float upper, lower;
};
LidContour lid_contour(const ActorTraits& t, float x);
// The same with the lids moved: blink 0..1, raise adds to the upper lid (gaze up), squint lifts the lower.
LidContour lid_contour(const ActorTraits& t, float x, float blink, float raise, float squint);

// Positive where hair grows, about the distance to the hairline.
float hairline(const ActorTraits& t, Vec3 p);

// The middle line of the brow at s = 0 (at the nose) .. 1: x > 0 side.
Vec3 brow_line(const ActorTraits& t, float s);

}  // namespace doppel
