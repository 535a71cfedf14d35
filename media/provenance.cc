#include "media/provenance.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "media/libav.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

namespace doppel {
namespace {

constexpr std::string_view kVocabulary = "http://cv.iptc.org/newscodes/digitalsourcetype/";
constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view kPngKeyword("XML:com.adobe.xmp", 17);
constexpr std::string_view kJpegHeader("http://ns.adobe.com/xap/1.0/\0", 29);
constexpr std::string_view kUuid("\xBE\x7A\xCF\xCB\x97\xA9\x42\xE8\x9C\x71\x99\x94\x91\xE3\xAF\xAC", 16);

std::string big_endian(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(char(value >> (8 * i) & 255));
  return out;
}

uint64_t number(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | uint8_t(c);
  return value;
}

bool is_png(std::string_view bytes) {
  return bytes.substr(0, kPngSignature.size()) == kPngSignature;
}

bool is_jpeg(std::string_view bytes) {
  return bytes.substr(0, 3) == "\xFF\xD8\xFF";
}

std::string png_chunk(std::string_view name, std::string_view data) {
  const std::string body = std::string(name) + std::string(data);
  return big_endian(data.size(), 4) + body + big_endian(crc32(body.data(), body.size()), 4);
}

// What stands between two marks; "" when they are not there.
std::string between(std::string_view text, std::string_view before, std::string_view after) {
  const size_t start = text.find(before);
  if (start == text.npos) return "";
  const size_t end = text.find(after, start + before.size());
  if (end == text.npos) return "";
  return std::string(text.substr(start + before.size(), end - start - before.size()));
}

// XMP writes a simple property as an attribute or as an element; both forms are read.
std::string property(std::string_view xmp, const std::string& name) {
  const std::string attribute = between(xmp, name + "=\"", "\"");
  if (!attribute.empty()) return attribute;
  return between(xmp, "<" + name + ">", "</" + name + ">");
}

std::optional<Provenance> parse(std::string_view xmp) {
  Provenance found{property(xmp, "Iptc4xmpExt:DigitalSourceType"), property(xmp, "xmp:CreatorTool")};
  if (found.source_type.empty()) return std::nullopt;
  return found;
}

std::string png_packet(std::string_view bytes) {
  size_t at = kPngSignature.size();
  while (at + 12 <= bytes.size()) {
    const uint64_t length = number(bytes.substr(at, 4));
    if (length > bytes.size() - at - 12) break;
    const std::string_view name = bytes.substr(at + 4, 4), data = bytes.substr(at + 8, length);
    // keyword, 0, compressed?, method, language 0, translated keyword 0, text
    if (name == "iTXt" && data.substr(0, kPngKeyword.size() + 1) == std::string(kPngKeyword) + '\0')
      return std::string(data.substr(kPngKeyword.size() + 1));
    at += length + 12;
  }
  return "";
}

std::string jpeg_packet(std::string_view bytes) {
  size_t at = 2;
  while (at + 4 <= bytes.size() && uint8_t(bytes[at]) == 0xFF && uint8_t(bytes[at + 1]) != 0xDA) {
    const size_t length = number(bytes.substr(at + 2, 2));
    if (length < 2) break;
    const std::string_view body = bytes.substr(at + 4, length - 2);
    if (uint8_t(bytes[at + 1]) == 0xE1 && body.substr(0, kJpegHeader.size()) == kJpegHeader)
      return std::string(body.substr(kJpegHeader.size()));
    at += 2 + length;
  }
  return "";
}

// Hops from box to box: reads a few bytes of a file of any size.
std::string mp4_packet(std::ifstream& file) {
  constexpr uint64_t kLongest = 1 << 20;
  file.clear();
  file.seekg(0, std::ios::end);
  const uint64_t size = uint64_t(file.tellg());
  uint64_t at = 0;
  while (at + 8 <= size) {
    char head[32] = {};
    file.seekg(std::streamoff(at));
    file.read(head, std::streamsize(std::min<uint64_t>(sizeof head, size - at)));
    if (file.gcount() < 8) break;
    file.clear();
    uint64_t length = number({head, 4}), header = 8;
    if (length == 1) {
      length = number({head + 8, 8});
      header = 16;
    }
    if (length == 0) length = size - at;
    if (length < header || length > size - at) break;
    if (std::string_view(head + 4, 4) == "uuid" && std::string_view(head + header, 16) == kUuid &&
        length <= kLongest + header + 16) {
      std::string packet(size_t(length - header - 16), '\0');
      file.seekg(std::streamoff(at + header + 16));
      file.read(packet.data(), std::streamsize(packet.size()));
      return packet;
    }
    at += length;
  }
  return "";
}

std::optional<Provenance> matroska_tags(const std::string& path) {
  try {
    const InputPtr input = open_input(path);
    const auto tag = [&](const char* name) {
      const AVDictionaryEntry* entry = av_dict_get(input->metadata, name, nullptr, 0);
      return std::string(entry ? entry->value : "");
    };
    Provenance found{tag("DIGITAL_SOURCE_TYPE"), tag("CREATOR_TOOL")};
    if (found.source_type.empty()) return std::nullopt;
    return found;
  } catch (const Error&) {
    return std::nullopt;  // no clip at all: it says nothing of itself
  }
}

}  // namespace

std::string digital_source_type(SourceType type) {
  return std::string(kVocabulary) +
         (type == SourceType::composite ? "compositeWithTrainedAlgorithmicMedia" : "algorithmicMedia");
}

std::string creator_tool() {
  return "doppel " DOPPEL_VERSION;
}

std::string xmp_packet(SourceType type) {
  return "<?xpacket begin=\"\xEF\xBB\xBF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
         "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
         " <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
         "  <rdf:Description rdf:about=\"\"\n"
         "    xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"\n"
         "    xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\">\n"
         "   <xmp:CreatorTool>" +
         creator_tool() +
         "</xmp:CreatorTool>\n"
         "   <Iptc4xmpExt:DigitalSourceType>" +
         digital_source_type(type) +
         "</Iptc4xmpExt:DigitalSourceType>\n"
         "  </rdf:Description>\n"
         " </rdf:RDF>\n"
         "</x:xmpmeta>\n"
         "<?xpacket end=\"r\"?>";
}

std::string mark_picture(std::string_view bytes, SourceType type) {
  const std::string packet = xmp_packet(type);
  if (is_png(bytes)) {
    // Behind the header chunk, which must be the first: 8 + 12 + 13 bytes.
    constexpr size_t kAfterHeader = 33;
    if (bytes.size() < kAfterHeader) throw Error("a PNG without its header cannot be marked as synthetic");
    const std::string fields = std::string(kPngKeyword) + std::string(5, '\0');
    return std::string(bytes.substr(0, kAfterHeader)) + png_chunk("iTXt", fields + packet) +
           std::string(bytes.substr(kAfterHeader));
  }
  if (is_jpeg(bytes)) {
    // Behind the JFIF segment, which wants to be the first.
    size_t at = 2;
    if (bytes.size() > 4 && uint8_t(bytes[3]) == 0xE0) at += 2 + number(bytes.substr(4, 2));
    if (at > bytes.size()) throw Error("a JPEG without its header cannot be marked as synthetic");
    const std::string body = std::string(kJpegHeader) + packet;
    return std::string(bytes.substr(0, at)) + "\xFF\xE1" + big_endian(body.size() + 2, 2) + body +
           std::string(bytes.substr(at));
  }
  throw Error("only PNG and JPEG pictures can be marked as synthetic");
}

void mark_mp4(const std::string& path, SourceType type) {
  const std::string body = std::string(kUuid) + xmp_packet(type);
  const std::string box = big_endian(body.size() + 8, 4) + "uuid" + body;
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  size_t done = 0;
  while (fd >= 0 && done < box.size()) {
    const ssize_t n = ::write(fd, box.data() + done, box.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += size_t(n);
  }
  const std::string why = std::strerror(errno);
  const bool closed = fd >= 0 && ::close(fd) == 0;
  if (done < box.size() || !closed) throw Error(path + ": the mark that it is synthetic could not be written: " + why);
}

std::optional<Provenance> read_provenance(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(path + ": cannot read: " + std::strerror(errno));
  char head[12] = {};
  file.read(head, sizeof head);
  const std::string_view start(head, size_t(file.gcount()));
  if (is_png(start)) return parse(png_packet(read_file(path)));
  if (is_jpeg(start)) return parse(jpeg_packet(read_file(path)));
  if (start.size() >= 8 && start.substr(4, 4) == "ftyp") return parse(mp4_packet(file));
  if (start.substr(0, 4) == "\x1A\x45\xDF\xA3") return matroska_tags(path);
  return std::nullopt;
}

}  // namespace doppel
