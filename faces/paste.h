// Putting a generated face back into the frame.
#pragma once

#include "faces/mask.h"
#include "kernels/frame.h"

namespace doppel {

struct PasteOptions {
  MaskOptions mask;
  int mask_size = 128;   // the mask's own resolution, at least 16
  float colour = 1.0f;   // 0: the generated colours; 1: mean and contrast of the original face within the mask
  float opacity = 1.0f;  // of the whole face, 0..1
};

// frame: the picture to change. face [size, size, 3], RGB, 0..1: the generated face in the square that frame_to_face
// maps to (pixels of `size`). landmarks: those of the face in the frame, in frame pixels. Colour is matched against the
// frame as it is on entry. Only pixels where the mask is above 0 are written. Throws std::invalid_argument for a size
// below 2 or a transform that is not invertible.
void paste_face(ImageView frame, const float* face, int size, const Affine& frame_to_face, const Landmarks& landmarks,
                const PasteOptions& options = {});

}  // namespace doppel
