// Still pictures: files and byte strings to 8-bit RGB and back.
#pragma once

#include <string>
#include <string_view>

#include "runtime/image.h"

namespace doppel {

// Decodes PNG, JPEG, BMP, TGA, PSD, GIF (first frame) or PNM. 16-bit samples are reduced to 8, transparency is dropped.
// A JPEG's EXIF orientation is applied, so that the picture comes out upright. `name` is what errors call it.
// Throws Error for bytes that are empty, damaged, of no known format or larger than kMaxPicturePixels.
Image decode_picture(std::string_view bytes, const std::string& name);

// decode_picture() of a file; throws Error naming it when it is missing or cannot be read.
Image read_picture(const std::string& path);

// Lossless.
std::string encode_png(ConstImageView image);

// Quality is 1..100; above 90 colour is kept at full resolution (4:4:4).
std::string encode_jpeg(ConstImageView image, int quality);

// Encodes by the extension of `name` (.png, .jpg, .jpeg); throws UsageError for any other.
std::string encode_picture(ConstImageView image, const std::string& name);

// encode_picture() into a file that is whole or not there.
void write_picture(const std::string& path, ConstImageView image);

// The quality that encode_picture() gives a JPEG.
inline constexpr int kJpegQuality = 96;

// 400 million pixels: beyond it a header is taken for damage, not for a picture to make room for.
inline constexpr long long kMaxPicturePixels = 400'000'000;

// EXIF orientation of a JPEG, 1 (upright) to 8, as the TIFF tag 274 numbers them; 1 where there is none.
int jpeg_orientation(std::string_view bytes);

// Extension in lower case with its dot (".png"), or "".
std::string extension_of(const std::string& path);

}  // namespace doppel
