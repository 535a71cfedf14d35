// A PNG file without a library, for the engine rooms alone: the pixels are stored as they are.
#pragma once

#include <string>

#include "kernels/image.h"

namespace doppel::bench {

// The bytes of a PNG (ISO/IEC 15948) whose deflate blocks (RFC 1951, 3.2.4) compress nothing. It says that it is
// rendered, in the place where media/provenance.h says it.
std::string stored_png(ConstImageView image);

}  // namespace doppel::bench
