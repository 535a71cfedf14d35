// Stored pictures against shown ones. Orientations are EXIF's numbers (TIFF tag 274): 1 stored as shown, 2 mirrored,
// 3 turned by 180 degrees, 4 flipped, 5 transposed, 6 to be turned 90 degrees clockwise, 7 anti-transposed, 8 to be
// turned 90 degrees counter-clockwise. Other numbers count as 1.
#pragma once

#include <array>
#include <cstdint>

#include "media/video_format.h"
#include "runtime/image.h"

namespace doppel {

// Width and height change places.
inline bool swaps_sides(int orientation) {
  return orientation >= 5 && orientation <= 8;
}

// The orientation that undoes this one.
int inverse_orientation(int orientation);

// The picture as it is to be shown: `orientation` becomes 1. `shown` must have the right size already, and not overlap.
void turn_upright(ConstImageView stored, int orientation, ImageView shown);
Image upright(ConstImageView stored, int orientation);

// Where a rectangle of the shown picture is in the stored one, which is width x height.
Rect stored_rect(const Rect& shown, int orientation, int width, int height);

// ISO/IEC 14496-12 display matrix { a, b, u, c, d, v, x, y, w }: a stored (p, q) is shown at (a p + c q + x, b p + d q
// + y). 1 for matrices that are not one of the eight (a turn by 10 degrees): such pictures are worked on as they are
// stored.
int orientation_of(const std::array<int32_t, 9>& display_matrix);

}  // namespace doppel
