// The 68 points of a face, as plain data that every room can hold.
#pragma once

#include <array>

#include "kernels/affine.h"

namespace doppel {

// Order of the iBUG 300-W annotation (Sagonas et al. 2013), which dlib's predictor follows: jaw 0..16 from the left of
// the picture to the right, brows 17..26, nose 27..35, eyes 36..47, mouth 48..67.
constexpr int kLandmarkCount = 68;
using Landmarks = std::array<Point, kLandmarkCount>;

}  // namespace doppel
