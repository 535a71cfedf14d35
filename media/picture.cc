#include "media/picture.h"

#define STBI_NO_STDIO
#include <stb_image.h>
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "media/orientation.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

namespace doppel {
namespace {

const stbi_uc* as_bytes(std::string_view bytes) {
  return reinterpret_cast<const stbi_uc*>(bytes.data());
}

void append(void* context, void* data, int size) {
  static_cast<std::string*>(context)->append(static_cast<const char*>(data), size_t(size));
}

// stb wants JPEG rows without gaps; most images have none and are passed as they are.
const uint8_t* packed(ConstImageView image, std::vector<uint8_t>& copy) {
  const size_t row = size_t(3) * image.width;
  if (image.stride == std::ptrdiff_t(row)) return image.data;
  copy.resize(row * image.height);
  for (int y = 0; y < image.height; ++y) std::memcpy(copy.data() + row * y, image.row(y), row);
  return copy.data();
}

// Big- or little-endian numbers inside an EXIF block; 0 beyond its end.
struct Tiff {
  std::string_view bytes;
  bool big = false;

  unsigned at(size_t offset, int size) const {
    if (offset + size > bytes.size()) return 0;
    unsigned value = 0;
    for (int i = 0; i < size; ++i) value = value << 8 | uint8_t(bytes[offset + (big ? i : size - 1 - i)]);
    return value;
  }
};

int tiff_orientation(std::string_view block) {
  if (block.size() < 8) return 1;
  const Tiff tiff{block, block[0] == 'M'};
  const size_t directory = tiff.at(4, 4);
  const unsigned entries = tiff.at(directory, 2);
  for (unsigned i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + size_t(12) * i;
    if (tiff.at(entry, 2) != 274) continue;
    const int value = int(tiff.at(entry + 8, 2));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

}  // namespace

int jpeg_orientation(std::string_view bytes) {
  const auto byte = [&](size_t i) { return unsigned(uint8_t(bytes[i])); };
  if (bytes.size() < 4 || byte(0) != 0xFF || byte(1) != 0xD8) return 1;
  size_t at = 2;
  while (at + 4 <= bytes.size() && byte(at) == 0xFF) {
    const unsigned marker = byte(at + 1);
    const size_t length = byte(at + 2) << 8 | byte(at + 3);
    if (marker == 0xDA || length < 2) return 1;  // start of scan: no more headers
    const std::string_view body = bytes.substr(at + 4, length - 2);
    if (marker == 0xE1 && body.substr(0, 6) == std::string_view("Exif\0\0", 6)) return tiff_orientation(body.substr(6));
    at += 2 + length;
  }
  return 1;
}

Image decode_picture(std::string_view bytes, const std::string& name) {
  if (bytes.empty()) throw Error(name + ": the file is empty; give a PNG or JPEG picture");
  if (bytes.size() > INT_MAX) throw Error(name + ": too large for a picture; give a PNG or JPEG picture");
  int width = 0, height = 0, channels = 0;
  const int size = int(bytes.size());
  if (!stbi_info_from_memory(as_bytes(bytes), size, &width, &height, &channels))
    throw Error(name + ": not a picture that doppel can read; give PNG, JPEG, BMP, TGA, PSD, GIF or PNM");
  if (width <= 0 || height <= 0 || static_cast<long long>(width) * height > kMaxPicturePixels)
    throw Error(name + ": says it is " + std::to_string(width) + "x" + std::to_string(height) +
                " pixels, more than doppel reads; reduce it first");
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(as_bytes(bytes), size, &width, &height, &channels, 3), stbi_image_free);
  if (!pixels)
    throw Error(name + ": the picture is damaged (" + stbi_failure_reason() + "); export it again from its source");
  Image image(width, height);
  std::memcpy(image.data(), pixels.get(), image.size_bytes());
  const int orientation = jpeg_orientation(bytes);
  return orientation == 1 ? image : upright(image, orientation);
}

Image read_picture(const std::string& path) {
  return decode_picture(read_file(path), path);
}

std::string encode_png(ConstImageView image) {
  std::string bytes;
  if (!stbi_write_png_to_func(append, &bytes, image.width, image.height, 3, image.data, int(image.stride)))
    throw Error("a picture of " + std::to_string(image.width) + "x" + std::to_string(image.height) +
                " pixels could not be coded as PNG");
  return bytes;
}

std::string encode_jpeg(ConstImageView image, int quality) {
  std::string bytes;
  std::vector<uint8_t> copy;
  if (!stbi_write_jpg_to_func(append, &bytes, image.width, image.height, 3, packed(image, copy), quality))
    throw Error("a picture of " + std::to_string(image.width) + "x" + std::to_string(image.height) +
                " pixels could not be coded as JPEG");
  return bytes;
}

std::string encode_picture(ConstImageView image, const std::string& name) {
  const std::string extension = extension_of(name);
  if (extension == ".png") return encode_png(image);
  if (extension == ".jpg" || extension == ".jpeg") return encode_jpeg(image, kJpegQuality);
  throw UsageError(name + ": pictures are written as .png, .jpg or .jpeg; choose one of these names");
}

void write_picture(const std::string& path, ConstImageView image) {
  write_file(path, encode_picture(image, path));
}

std::string extension_of(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return extension;
}

}  // namespace doppel
