// Parts of the engine that can be left out by hand: should one fail on a card, everything else can still be used.
#pragma once

#include <string_view>

namespace doppel {

// Whether the environment's DOPPEL_WITHOUT, words with commas between, has `part` among them:
//
//   wgmma         the kernels of kernels/conv2d_wgmma*.cu, as if the device had no such instructions
//   clusters      those of them whose blocks run in clusters
//   early_start   kernels that start before earlier ones have ended (kernels/device/early_start.h)
//
// Throws std::invalid_argument where it has a word that is none of these; programs ask so first, with no part at all.
bool left_out(std::string_view part);

}  // namespace doppel
