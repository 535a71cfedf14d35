#include "kernels/frame.h"

#include "kernels/backends.h"

namespace doppel {

DOPPEL_BACKENDS(crop_u8)
void crop_u8(ConstImageView frame, const Affine& frame_to_crop, ImageView crop, Stream stream) {
  DOPPEL_PICK(crop_u8, stream)(frame, frame_to_crop, crop, stream);
}

DOPPEL_BACKENDS(crop_f32)
void crop_f32(ConstImageView frame, const Affine& frame_to_crop, int size, float* out, Stream stream) {
  DOPPEL_PICK(crop_f32, stream)(frame, frame_to_crop, size, out, stream);
}

DOPPEL_BACKENDS(crop_nv12_u8)
void crop_nv12_u8(const Nv12View& frame, const Affine& frame_to_crop, ImageView crop, Stream stream) {
  DOPPEL_PICK(crop_nv12_u8, stream)(frame, frame_to_crop, crop, stream);
}

DOPPEL_BACKENDS(crop_nv12_f32)
void crop_nv12_f32(const Nv12View& frame, const Affine& frame_to_crop, int size, float* out, Stream stream) {
  DOPPEL_PICK(crop_nv12_f32, stream)(frame, frame_to_crop, size, out, stream);
}

DOPPEL_BACKENDS(colour_stats)
ColourStats colour_stats(const float* image, const float* mask, int64_t pixels, Stream stream) {
  return DOPPEL_PICK(colour_stats, stream)(image, mask, pixels, stream);
}

DOPPEL_BACKENDS(apply_colour)
void apply_colour(float* image, int64_t pixels, const ColourMap& map, Stream stream) {
  DOPPEL_PICK(apply_colour, stream)(image, pixels, map, stream);
}

DOPPEL_BACKENDS(paste)
void paste(ImageView frame, const float* face, int size, const float* mask, int mask_size, const Affine& frame_to_face,
           Stream stream) {
  DOPPEL_PICK(paste, stream)(frame, face, size, mask, mask_size, frame_to_face, stream);
}

}  // namespace doppel
