// Two synthetic people, drawn by code alone: no photograph and no trained model. They talk, blink, turn and look around
// under a changing light, so that everything after them (extract, train, convert) can be tried with faces of nobody.
#pragma once

#include <functional>
#include <string>

#include "runtime/image.h"

namespace doppel {

enum class Actor { a, b };

// Everything that changes from frame to frame. Angles in degrees; left and right as seen in the picture.
struct Performance {
  Actor place = Actor::a;  // whose clothes and room

  float yaw = 0;     // to the right, -30..30
  float pitch = 0;   // down, -15..15
  float roll = 0;    // clockwise, -6..6
  float x = 0;       // head away from its usual place, in picture widths, right and down
  float y = 0;       //
  float scale = 1;   // of the whole figure
  float jaw = 0;     // 0 closed .. 1 wide open
  float smile = 0;   // 0..1
  float pucker = 0;  // lips forward and narrow ("oo"), 0..1
  float wide = 0;    // lips wide ("ee"), 0..1
  float brow = 0;    // -0.5 frown .. 1 raised
  float blink = 0;   // 0 open .. 1 shut
  float gaze_x = 0;  // of the eyes in the head, right, -25..25
  float gaze_y = 0;  // down, -12..12

  float light_azimuth = 0;     // where the key light comes from, to the right, -45..45
  float light_elevation = 35;  // above, 22..53
  float light_warmth = 0;      // -1 cool .. 1 warm
  float light_intensity = 1;   // 0.7..1.2
  float fill = 1;              // of the light from everywhere, 0.7..1.2
  float pan = 0;               // of the background, in picture widths
};

// What `who` does at a time; depends on nothing else. Both cover the same ranges of pose, expression and light.
Performance performance(Actor who, double seconds);

// `head` (with hair and neck) doing `p`, in p.place's clothes and room; size x size pixels, size > 0.
// render_actor(b, performance(a, t)) is the truth of a swap: B's head doing what A does, in A's place.
Image render_actor(Actor head, const Performance& p, int size);

struct ActorsOptions {
  std::string folder;  // made if missing
  int size = 512;      // pixels, even, at least 64
  double fps = 30;
  int frames = 300;  // of each clip
};

// Writes a.mp4, b.mp4 and truth.mp4 into the folder, each marked as algorithmic media and whole or not there. Throws
// Error naming the file that cannot be written. progress(frames done, of all), if given, is called from this thread.
void write_actors(const ActorsOptions& options, const std::function<void(int done, int total)>& progress);

}  // namespace doppel
