#include "bench/swap_quality.h"

#include <algorithm>

#include "nn/swapper.h"
#include "runtime/device.h"

namespace doppel::bench {
namespace {

constexpr int kShown = 8, kBatch = 16;
constexpr int kPersonA = 0, kPersonB = 1;

void append(std::vector<uint8_t>& to, ConstImageView picture) {
  to.insert(to.end(), picture.data, picture.data + FacePack::face_bytes(picture.width));
}

PictureError error_of(const FacePack& pack, const std::vector<uint8_t>& pictures) {
  PictureError error;
  for (int i = 0; i < pack.held_out(); ++i)
    error.add(compare_pictures(pack.view(pictures, i), pack.view(pack.truth, i), pack.region_of(i)));
  return error;
}

}  // namespace

std::vector<int> shown_faces(const FacePack& pack) {
  const int count = std::min(kShown, pack.held_out());
  std::vector<int> shown;
  for (int i = 0; i < count; ++i) shown.push_back((2 * i + 1) * pack.held_out() / (2 * count));
  return shown;
}

std::vector<uint8_t> shown_of(const FacePack& pack, const std::vector<uint8_t>& pictures) {
  std::vector<uint8_t> shown;
  for (const int i : shown_faces(pack)) append(shown, pack.view(pictures, i));
  return shown;
}

SwapQuality measure_swaps(Trainer& trainer, const FacePack& pack) {
  trainer.settle();
  const HostCopy weights(trainer.store().best(), trainer.stream());
  Swapper swapper(trainer.model(), trainer.store().layout, weights.as<float>(), kBatch);
  const size_t face = FacePack::face_bytes(pack.size);
  std::vector<float> in(kBatch * face), out(kBatch * face);
  std::vector<uint8_t> swaps(pack.input.size());
  for (int first = 0; first < pack.held_out(); first += kBatch) {
    const int count = std::min(kBatch, pack.held_out() - first);
    const size_t begin = size_t(first) * face, values = size_t(count) * face;
    for (size_t i = 0; i < values; ++i) in[i] = float(pack.input[begin + i]) / 255;
    swapper.run(in.data(), count, kPersonB, out.data(), kPersonA);
    for (size_t i = 0; i < values; ++i) swaps[begin + i] = uint8_t(out[i] * 255 + 0.5f);  // run() clamps
  }
  return {error_of(pack, swaps), shown_of(pack, swaps)};
}

PictureError unswapped_error(const FacePack& pack) {
  return error_of(pack, pack.source);
}

double psnr_of(const PictureError& error) {
  return std::min(100.0, error.psnr_rgb());
}

}  // namespace doppel::bench
