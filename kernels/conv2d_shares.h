// Adds what shares of a sum have left (kernels/conv2d_shares_plan.h). Internal to kernels/.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/conv2d_shares_plan.h"
#include "kernels/device/platform.h"

namespace doppel::DOPPEL_BACKEND {

// dw = the sums of the tiles that were cut; the others' are there. `parts`: slots of rows x columns results, one row
// after the other. Tiles are numbered columns fastest, in which each channel of a tap has a place and a tap's end is
// filled up to 64 of them; then rows, and groups slowest. Both pointers multiples of 16 bytes, each group's.
void add_shares(float* dw, const float* parts, const Shares& shares, int rows, int columns, const Conv2d& conv,
                Stream stream);

}  // namespace doppel::DOPPEL_BACKEND
