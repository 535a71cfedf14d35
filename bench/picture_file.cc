#include "bench/picture_file.h"

#include <algorithm>
#include <cstdint>

#include "runtime/atomic_file.h"

namespace doppel::bench {
namespace {

constexpr size_t kLargestBlock = 65535;  // of deflate, stored

const std::string kMark =
    "<?xpacket begin=\"\xEF\xBB\xBF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>"
    "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">"
    "<rdf:Description rdf:about=\"\" xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" "
    "Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia\"/>"
    "</rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>";

std::string big_endian(uint32_t v) {
  return {char(v >> 24), char(v >> 16), char(v >> 8), char(v)};
}

std::string chunk(const std::string& name, const std::string& data) {
  const std::string body = name + data;
  return big_endian(uint32_t(data.size())) + body + big_endian(crc32(body.data(), body.size()));
}

// RFC 1950.
uint32_t adler32(const std::string& data) {
  uint32_t a = 1, b = 0;
  for (const char c : data) {
    a = (a + uint8_t(c)) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

}  // namespace

std::string stored_png(ConstImageView image) {
  std::string rows;  // each after its filter: 0, none
  for (int y = 0; y < image.height; ++y) {
    rows.push_back('\0');
    rows.append(reinterpret_cast<const char*>(image.row(y)), size_t(image.width) * 3);
  }
  std::string zlib = "\x78\x01";
  for (size_t at = 0; at < rows.size(); at += kLargestBlock) {
    const size_t count = std::min(kLargestBlock, rows.size() - at);
    const char last = at + count == rows.size() ? '\1' : '\0';
    zlib += {last, char(count), char(count >> 8), char(~count), char(~count >> 8)};
    zlib.append(rows, at, count);
  }
  zlib += big_endian(adler32(rows));

  const std::string eight_bit_rgb("\x08\x02\0\0\0", 5);
  // keyword, not compressed, no language, no translated keyword
  const std::string text = "XML:com.adobe.xmp" + std::string(5, '\0') + kMark;
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", big_endian(uint32_t(image.width)) + big_endian(uint32_t(image.height)) + eight_bit_rgb) +
         chunk("iTXt", text) + chunk("IDAT", zlib) + chunk("IEND", "");
}

}  // namespace doppel::bench
