// How good a swap is where the perfect one is known.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "kernels/quality.h"
#include "runtime/image.h"

namespace doppel {

// The region that counts is the same for both: the convex hull of the 68 landmarks of the face in the truth, the face
// that should be seen, without its fade. Sums run over all frames, so that a bad frame weighs what it is worth.
struct Comparison {
  int64_t frames = 0;
  int64_t without_face = 0;  // frames whose truth shows no face to measure in
  PictureError swap;         // swap against truth
  PictureError unswapped;    // input against truth: what doing nothing gives
};

using SeeFrame = std::function<void(int64_t index, const Image& input, const Image& swap, const Image& truth)>;

// Reads three clips in step. see(), if given, gets every frame. Throws Error when a clip is damaged, when sizes or
// lengths differ, when no frame has a face, and Interrupted.
Comparison compare_clips(const std::string& input, const std::string& swap, const std::string& truth,
                         const SeeFrame& see = {});

// The comparison as a table of plain text, one line of what was measured before it.
std::string comparison_table(const Comparison& comparison);

}  // namespace doppel
