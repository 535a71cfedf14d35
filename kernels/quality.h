// How far a picture is from the one it should be, inside a region: squared error and structural similarity.
#pragma once

#include <cstdint>

#include "kernels/image.h"

namespace doppel {

// Sums over the pixels of a region, so that the sums of many frames can be added before any mean is taken.
struct PictureError {
  double pixels = 0;        // how many
  double squared_rgb = 0;   // sum of squared differences over R, G and B, in levels 0..255
  double squared_luma = 0;  // the same of luma: BT.709 weights on coded values
  double ssim = 0;          // sum of the local SSIM of luma

  void add(const PictureError& other);

  // Peak signal to noise ratio, 10 log10(255^2 / mean squared error), dB; infinite for equal pictures. pixels > 0.
  double psnr_rgb() const;
  double psnr_luma() const;
  double mean_ssim() const { return ssim / pixels; }
};

// a, b: the same width and height (std::invalid_argument otherwise); region [height, width], a pixel counts where it is
// not 0.
//
// SSIM after Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to structural
// similarity", equation 13, with an 11 x 11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, L = 255, centred at
// each pixel of the region; beyond the picture its border pixels repeat.
PictureError compare_pictures(ConstImageView a, ConstImageView b, const uint8_t* region);

}  // namespace doppel
