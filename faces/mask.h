// Which part of the square a pasted face replaces.
#pragma once

#include <cstdint>

#include "kernels/landmarks.h"

namespace doppel {

struct MaskOptions {
  float forehead = 0.5f;  // how far the brows' edge is raised, in brow-to-nose-tip distances
  float erode = 0.01f;    // moves the edge inwards, fraction of the square's side; may be negative
  float feather = 0.08f;  // width of the fade from 1 to 0, fraction of the square's side; > 0
  bool border = true;     // fade to 0 at the square's own border too
};

// mask [size, size], 0..1, of a square whose pixels the landmarks are given in (frame landmarks through the square's
// transform at this size). 1 well inside the convex hull of jaw and raised brows, a smooth fade (smoothstep over
// `feather`, measured inwards from the eroded edge), and, with `border`,
// exactly 0 in the outermost pixels whatever the landmarks.
void face_mask(const Landmarks& landmarks_in_square, int size, const MaskOptions& options, float* mask);

// How much of a picture around a face a network is shown, [size, size]: 1 on the face and a margin around it, 0 beyond.
// part: the side of what the network sees as a fraction of the square's.
void surround_mask(const Landmarks& landmarks_in_square, int size, float part, float* mask);

// Makes grey what lies around a face, [size, size, 3], values 0..255 or 0..1. Room and hair tell two people apart far
// better than their features do, and an encoder that looks at them draws the other person badly.
void clear_surround(uint8_t* face, const Landmarks& landmarks_in_square, int size, float part);
void clear_surround(float* face, const Landmarks& landmarks_in_square, int size, float part);

}  // namespace doppel
