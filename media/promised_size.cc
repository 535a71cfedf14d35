// How long a file says it is, for the containers that say so in their first bytes.
#include <algorithm>
#include <fstream>
#include <string_view>

#include "media/libav.h"

namespace doppel {
namespace {

// An EBML number (RFC 8794, section 4): as many bytes as the first has leading zeros, plus one. -1: unknown or not
// there.
int64_t ebml_size(std::string_view bytes, size_t& at) {
  if (at >= bytes.size() || bytes[at] == 0) return -1;
  const unsigned first = uint8_t(bytes[at]);
  size_t length = 1;
  while (!(first & (0x80u >> (length - 1)))) ++length;
  if (at + length > bytes.size()) return -1;
  uint64_t value = first & (0xFFu >> length);
  bool unknown = value == (0xFFu >> length);
  for (size_t i = 1; i < length; ++i) {
    value = value << 8 | uint8_t(bytes[at + i]);
    unknown = unknown && uint8_t(bytes[at + i]) == 0xFF;
  }
  at += length;
  return unknown ? -1 : int64_t(value);
}

}  // namespace

int64_t promised_size(const std::string& path) {
  std::string head(256, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), std::streamsize(head.size()));
  head.resize(size_t(file.gcount()));
  if (head.rfind("\x1A\x45\xDF\xA3", 0) == 0) {  // Matroska: the EBML header, then the segment, which is all the rest
    size_t at = 4;
    const int64_t header = ebml_size(head, at);
    if (header < 0 || at + size_t(header) + 4 > head.size()) return -1;
    at += size_t(header);
    if (head.compare(at, 4, "\x18\x53\x80\x67") != 0) return -1;
    at += 4;
    const int64_t segment = ebml_size(head, at);
    return segment < 0 ? -1 : int64_t(at) + segment;
  }
  if (head.size() >= 12 && head.rfind("RIFF", 0) == 0) {  // AVI: little-endian, what follows the first 8 bytes
    int64_t size = 0;
    for (size_t i = 8; i-- > 4;) size = size << 8 | uint8_t(head[i]);
    return size > 0 ? size + 8 : -1;
  }
  return -1;
}

}  // namespace doppel
