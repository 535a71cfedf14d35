// Per-pixel work between a frame and a face: crop, luma, colour statistics and transfer, paste. Those that take a
// stream run on every backend, with pictures in its memory; the others run on the host. On the CPU all of them use
// parallel_for, and but for crop_luma they allocate at most a few kilobytes per thread.
//
// Coordinates follow kernels/affine.h: integers are pixel centres. Float pictures are [height, width, 3], R, G, B,
// sRGB-coded, nominally 0..1 (values outside are allowed as input where said so).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/affine.h"
#include "kernels/image.h"
#include "kernels/stream.h"

namespace doppel {

// ---- crop: frame -> square, one sampling step -----------------------------------------------------------------------
//
//   out(u) = sum_p frame[p] h((p.x - q.x) / s.x) h((p.y - q.y) / s.y) / (the sum of those weights),  q = A^-1(u)
//
// h is the cubic convolution kernel of Keys (1981), a = -0.5; A = frame_to_crop; s.x = max(1, the length of A^-1's
// first row), s.y = max(1, that of its second). So enlarging interpolates through the pixels, and reducing widens the
// kernel until it is its own low-pass filter. Outside the frame its nearest border pixel counts. A must be invertible
// and finite, and the frame not empty (std::invalid_argument: a programming error); A may put the square outside the
// frame.

// crop: any size; values are rounded to nearest and clamped to 0..255. Must not overlap the frame.
void crop_u8(ConstImageView frame, const Affine& frame_to_crop, ImageView crop, Stream stream = {});

// out [size, size, 3], clamped to 0..1.
void crop_f32(ConstImageView frame, const Affine& frame_to_crop, int size, float* out, Stream stream = {});

// The same from an NV12 frame: luma at q, chroma at its own grid's place of q with half the scale (at least 1), each by
// the formula above; then R, G, B by the frame's matrix and range, rounded or scaled and clamped as above.
void crop_nv12_u8(const Nv12View& frame, const Affine& frame_to_crop, ImageView crop, Stream stream = {});
void crop_nv12_f32(const Nv12View& frame, const Affine& frame_to_crop, int size, float* out, Stream stream = {});

// Luma 0..255 (BT.709 weights on coded values) of an upright box, reduced or enlarged with the same kernel: out(u, v)
// is sampled at the frame's (x + u * step, y + v * step). out [height, width] with `stride` bytes a row; step > 0.
// Needs scratch memory of the box's size in the frame.
void crop_luma(ConstImageView frame, float x, float y, float step, int width, int height, uint8_t* out,
               std::ptrdiff_t stride);

// ---- sharpness ------------------------------------------------------------------------------------------------------

// Variance of the 4-neighbour Laplacian over the inner (width - 2) x (height - 2) pixels of a luma picture, in squared
// levels; 0 when there are none. Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy".
double laplacian_variance(const uint8_t* luma, int width, int height, std::ptrdiff_t stride);

// ---- colour ---------------------------------------------------------------------------------------------------------
//
// Statistics are of Y, Cb, Cr: BT.709 weights on coded values, Cb and Cr around 0, all of unit scale for R, G, B in
// 0..1. The transfer does what another light would do: a gain of each of R, G, B takes the mean colour a of one picture
// to that of the other, b (von Kries 1902; a gain of coded values is nearly one of the light itself), and the contrast
// of Y then approaches the other's by a factor g that adds the same to all three:
//
//   v = diag(b / a) rgb;   rgb' = v + (g - 1) (Y(v) - Y(b));   g = deviation_to(Y) a(Y) / (deviation_from(Y) b(Y))
//
// Reinhard et al. 2001 ("Color transfer between images") shift and stretch each channel of a decorrelated space on its
// own. That tints what is dark, such as brows and pupils, for it moves black as far as skin.

struct ColourStats {
  float mean[3] = {0, 0, 0};  // Y, Cb, Cr
  float deviation[3] = {0, 0, 0};
  float weight = 0;  // sum of the mask; 0: nothing was measured, mean and deviation are 0
};

// image [pixels, 3], mask [pixels] with values >= 0. Two passes: values further than 2.5 deviations from the first mean
// (in any channel) do not count in the second, so that a highlight or a strand of hair does not tint the face.
// Waits for the stream.
ColourStats colour_stats(const float* image, const float* mask, int64_t pixels, Stream stream = {});

// rgb' = m rgb + t
struct ColourMap {
  float m[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  float t[3] = {0, 0, 0};
};

// Takes a picture with the statistics `from` towards `to`. strength 0 (identity) .. 1 (whole). The mean is met always;
// the gains of R, G, B are kept within [1/2, 2] and g within [4/5, 5/4] (more of it is another face's brows, not
// another light), and are 1 for what is flat or black. With nothing measured on either side the map is the identity.
ColourMap colour_map(const ColourStats& from, const ColourStats& to, float strength);

// image [pixels, 3] in place; not clamped.
void apply_colour(float* image, int64_t pixels, const ColourMap& map, Stream stream = {});

// ---- paste ----------------------------------------------------------------------------------------------------------
//
//   frame[p] = (1 - m) frame[p] + m face(q),  q = frame_to_face(p),  for every p with m > 0 that is in the frame
//
// face [size, size, 3] is enlarged with Keys' cubic (a = -0.5; border pixels repeat), clamped to 0..1. mask
// [mask_size, mask_size], 0..1, covers the same square and is sampled bilinearly; outside the square m = 0. Where the
// map enlarges frame pixels (a face smaller in the frame than `size`) the kernel widens as in crop. Pixels with m = 0
// are not written. frame_to_face must be invertible and finite, size and mask_size at least 2 (std::invalid_argument).
void paste(ImageView frame, const float* face, int size, const float* mask, int mask_size, const Affine& frame_to_face,
           Stream stream = {});

}  // namespace doppel
