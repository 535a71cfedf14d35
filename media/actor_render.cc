#include <memory>

#include "media/actor_frame.h"
#include "runtime/error.h"

namespace doppel {
namespace {

// The four samples of a pixel are one surface, near each other: then one shade does for all.
bool plain(const Visibility& seen, const uint32_t id[4], const float depth[4]) {
  const uint32_t piece = id[0] >> Visibility::kIndexBits;
  if (piece == kLeftEye || piece == kRightEye || piece >= kHair) return false;
  for (int k = 1; k < 4; ++k) {
    if ((id[k] >> Visibility::kIndexBits) != piece || std::abs(depth[k] - depth[0]) > 0.05f) return false;
  }
  return seen.width > 0;
}

void shade_frame(const Frame& frame, const HeadModel& model, const Backdrop& back, Image& image) {
  const Visibility& seen = frame.seen;
  for (int y = 0; y < image.height(); ++y) {
    uint8_t* out = image.row(y);
    for (int x = 0; x < image.width(); ++x, out += 3) {
      uint32_t id[4];
      float depth[4];
      bool nothing = true;
      for (int k = 0; k < 4; ++k) {
        const size_t at = size_t(2 * y + k / 2) * size_t(seen.width) + size_t(2 * x + k % 2);
        id[k] = seen.id[at];
        depth[k] = seen.depth[at];
        nothing = nothing && id[k] == Visibility::kNothing;
      }
      Vec3 colour;
      if (nothing) {
        colour = back.at(float(x), float(y));
      } else if (id[0] != Visibility::kNothing && plain(seen, id, depth)) {
        colour = shade_sample(frame, model, float(2 * x) + 0.5f, float(2 * y) + 0.5f, id[0]);
      } else {
        for (int k = 0; k < 4; ++k) {
          colour = colour + (id[k] == Visibility::kNothing
                                 ? back.at(float(x), float(y))
                                 : shade_sample(frame, model, float(2 * x + k % 2), float(2 * y + k / 2), id[k])) *
                                0.25f;
        }
      }
      out[0] = to_srgb(colour.x);
      out[1] = to_srgb(colour.y);
      out[2] = to_srgb(colour.z);
    }
  }
}

}  // namespace

Image render_actor(Actor head, const Performance& p, int size) {
  if (size <= 0) throw Error("render_actor: size " + std::to_string(size) + " is not positive");
  // Megabytes of buffers: kept from frame to frame, one set a thread.
  thread_local const std::unique_ptr<Frame> frame = std::make_unique<Frame>();
  pose_frame(*frame, head, p, size);
  Image image(size, size);
  shade_frame(*frame, head_model(head), make_backdrop(p, size), image);
  return image;
}

}  // namespace doppel
