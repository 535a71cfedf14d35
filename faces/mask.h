// Which part of the square a pasted face replaces.
#pragma once

#include <vector>

#include "kernels/landmarks.h"

namespace doppel {

struct MaskOptions {
  float forehead = 0.5f;  // how far the brows' edge is raised, in brow-to-nose-tip distances
  float erode = 0.01f;    // moves the edge inwards, fraction of the square's side; may be negative
  float feather = 0.08f;  // width of the fade from 1 to 0, fraction of the square's side; > 0
};

// mask [size, size], 0..1, of a square whose pixels the landmarks are given in (frame landmarks through the square's
// transform at this size). 1 well inside the convex hull of jaw and raised brows, a smooth fade (smoothstep over
// `feather`, measured inwards from the eroded edge), and exactly 0 in the outermost pixels whatever the landmarks.
void face_mask(const Landmarks& landmarks_in_square, int size, const MaskOptions& options, float* mask);

}  // namespace doppel
