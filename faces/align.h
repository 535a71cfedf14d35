// The canonical face and the similarity transform to it.
#pragma once

#include <span>

#include "kernels/image.h"
#include "kernels/landmarks.h"

namespace doppel {

// The canonical face: 68 points of a symmetric frontal face with a closed mouth. Unit: the width of the jaw, from point
// 0 to point 16, is 1. The origin is midway between the brows' top and the chin; y points down. Made from landmarks of
// frontal frames of several people, each aligned to the others, averaged, made symmetric, and rounded.
const Landmarks& canonical_face();

// coverage is the side of a square crop in canonical units. The default shows the head with margin: the central 160/256
// of such a crop, which is what a network sees, is 1.4 jaw widths wide and holds the face from brows to chin.
constexpr float kDefaultCoverage = 2.25f;
// The part of a face set's crop that networks see: the central 160 of 256 pixels.
constexpr float kNetworkPart = 160.0f / 256.0f;

// The least-squares similarity (rotation, uniform scale, shift; no reflection) that takes `from` to `to`:
// Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns", equations 40 to 43,
// with weights. from, to: same length, at least 2; weights: the same length or empty (all 1). Throws
// std::invalid_argument when the lengths differ or the points coincide.
Affine umeyama(std::span<const Point> from, std::span<const Point> to, std::span<const float> weights = {});

// Frame pixels -> canonical units, by brows, eyes, nose and mouth; the jaw, which moves with speech and is the least
// certain, does not count.
Affine canonical_fit(const Landmarks& landmarks);

// Frame pixels -> pixels of a size x size crop: the canonical fit, slid sideways so that a turned head's near cheek
// stays in the square (the crop's centre is the canonical origin for a frontal face). For what a network of side T
// sees: align(landmarks, T, coverage * kNetworkPart).
Affine align(const Landmarks& landmarks, int size, float coverage = kDefaultCoverage);

// The same square seen at another size and part: takes frame -> crop (crop_size pixels) to frame -> the crop's central
// `part` (0..1] at new_size pixels.
Affine centre_part(const Affine& frame_to_crop, int crop_size, float part, int new_size);

// The landmarks where `map` takes them.
Landmarks moved(const Landmarks& landmarks, const Affine& map);

// Canonical units -> pixels of a crop.
Affine canonical_to_crop(int size, float coverage);

// Degrees. yaw > 0: the nose points to the right of the picture; pitch > 0: up; roll > 0: clockwise in the picture.
// From the least-squares affine camera (weak perspective) of a coarse 3D face, rows orthonormalised; good to about
// 5 degrees for yaw and 8 for pitch within +-40.
struct Pose {
  float yaw = 0, pitch = 0, roll = 0;
};
Pose estimate_pose(const Landmarks& landmarks);

// How sharp the picture of the face is, whatever its size in the frame and the crop's size: the variance of the
// Laplacian (kernels/frame.h) over what a network sees, sampled at 160 x 160. About 10 is blurred, above 100 crisp.
float face_sharpness(ConstImageView frame, const Landmarks& landmarks, float coverage = kDefaultCoverage);

}  // namespace doppel
