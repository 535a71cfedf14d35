// How good the swaps of a network are on faces that it was not trained on, where the truth is known.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/face_pack.h"
#include "kernels/quality.h"
#include "nn/trainer.h"

namespace doppel::bench {

// Faces of the pack that the picture sheet shows, evenly spread: indices of held-out faces.
std::vector<int> shown_faces(const FacePack& pack);
// Those of `pictures` [n, T, T, 3].
std::vector<uint8_t> shown_of(const FacePack& pack, const std::vector<uint8_t>& pictures);

struct SwapQuality {
  PictureError error;          // against the truth, over the pack's regions
  std::vector<uint8_t> shown;  // swaps of shown_faces(), [columns, T, T, 3]
};

// Swaps every held-out face of a to b, on the processor and with the weights that `doppel convert` would use after
// Trainer::save(): drawn by b's decoder, in b's own colours. Settles the trainer first.
SwapQuality measure_swaps(Trainer& trainer, const FacePack& pack);
// What doing nothing gives: the source against the truth.
PictureError unswapped_error(const FacePack& pack);

// In dB; at most 100, which equal pictures have.
double psnr_of(const PictureError& error);

}  // namespace doppel::bench
