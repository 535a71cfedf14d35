#include "faces/paste.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "faces/align.h"

namespace doppel {

void paste_face(ImageView frame, const float* face, int size, const Affine& frame_to_face, const Landmarks& landmarks,
                const PasteOptions& options) {
  if (size < 2) throw std::invalid_argument("paste_face: a face needs at least 2 x 2 pixels");
  const int mask_size = std::max(16, options.mask_size);
  const auto mask_of = [&](int side, std::vector<float>& mask) {
    const Affine to_square = centre_part(frame_to_face, size, 1, side);
    mask.resize(size_t(side) * size_t(side));
    face_mask(moved(landmarks, to_square), side, options.mask, mask.data());
  };
  std::vector<float> mask;
  const float* source = face;
  std::vector<float> recoloured;
  if (options.colour > 0) {
    const size_t pixels = size_t(size) * size_t(size);
    std::vector<float> original(3 * pixels);
    crop_f32(frame, frame_to_face, size, original.data());
    mask_of(size, mask);
    const ColourStats from = colour_stats(face, mask.data(), int64_t(pixels));
    const ColourStats to = colour_stats(original.data(), mask.data(), int64_t(pixels));
    recoloured.assign(face, face + 3 * pixels);
    apply_colour(recoloured.data(), int64_t(pixels), colour_map(from, to, std::min(options.colour, 1.0f)));
    source = recoloured.data();
  }
  mask_of(mask_size, mask);
  const float opacity = std::clamp(options.opacity, 0.0f, 1.0f);
  if (opacity < 1) {
    for (float& m : mask) m *= opacity;
  }
  paste(frame, source, size, mask.data(), mask_size, frame_to_face);
}

}  // namespace doppel
