#include "media/provenance.h"

#include <catch2/catch.hpp>

#include "clips.h"
#include "media/picture.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

using namespace doppel;

namespace {

constexpr const char* kComposite =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";
constexpr const char* kGenerated = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia";

uint32_t number(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | uint8_t(bytes.at(at + i));
  return value;
}

// CRC-32 bit by bit, as the PNG specification defines it in annex D.
uint32_t slow_crc(const std::string& bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : bytes) {
    crc ^= uint8_t(c);
    for (int k = 0; k < 8; ++k) crc = crc & 1 ? 0xEDB88320 ^ crc >> 1 : crc >> 1;
  }
  return ~crc;
}

void check_read(const std::string& path, const std::string& type) {
  const auto read = read_provenance(path);
  REQUIRE(read);
  CHECK(read->source_type == type);
  CHECK(read->creator_tool == creator_tool());
  CHECK(read->ours());
}

}  // namespace

TEST_CASE("The packet says what the vocabulary calls it") {
  CHECK(xmp_packet(SourceType::composite).find(kComposite) != std::string::npos);
  CHECK(xmp_packet(SourceType::generated).find(kGenerated) != std::string::npos);
  CHECK(xmp_packet(SourceType::composite).find("http://iptc.org/std/Iptc4xmpExt/2008-02-29/") != std::string::npos);
  CHECK(creator_tool().rfind("doppel ", 0) == 0);
  CHECK(creator_tool().size() > 10);
}

TEST_CASE("A PNG's mark is a sound iTXt chunk before the pixels") {
  const TemporaryFolder folder;
  const Image picture = test_picture(20, 10);
  const std::string marked = mark_picture(encode_png(picture), SourceType::composite);
  std::vector<std::string> names;
  size_t at = 8;
  while (at < marked.size()) {
    const size_t length = number(marked, at);
    const std::string body = marked.substr(at + 4, length + 4);
    CHECK(number(marked, at + 8 + length) == slow_crc(body));
    names.push_back(body.substr(0, 4));
    if (names.back() == "iTXt") {
      CHECK(body.substr(4, 22) == std::string("XML:com.adobe.xmp\0\0\0\0\0", 22));
      CHECK(body.substr(26) == xmp_packet(SourceType::composite));
    }
    at += 12 + length;
  }
  CHECK(at == marked.size());
  REQUIRE(names.size() >= 4);
  CHECK(names[0] == "IHDR");
  CHECK(names[1] == "iTXt");
  CHECK(names.back() == "IEND");
  CHECK(psnr(decode_picture(marked, "p"), picture) == 99);
  write_file(folder / "a.png", marked);
  check_read(folder / "a.png", kComposite);
}

TEST_CASE("A JPEG's mark is an APP1 segment behind its header") {
  const TemporaryFolder folder;
  const std::string plain = encode_jpeg(test_picture(20, 10), 95);
  const std::string marked = mark_picture(plain, SourceType::generated);
  const std::string packet = xmp_packet(SourceType::generated);
  REQUIRE(marked.size() == plain.size() + 4 + 29 + packet.size());
  CHECK(marked.substr(0, 4) == "\xFF\xD8\xFF\xE0");
  const size_t at = 4 + (size_t(uint8_t(marked[4])) << 8 | uint8_t(marked[5]));
  CHECK(marked.substr(at, 2) == "\xFF\xE1");
  CHECK((size_t(uint8_t(marked[at + 2])) << 8 | uint8_t(marked[at + 3])) == 2 + 29 + packet.size());
  CHECK(marked.substr(at + 4, 29) == std::string("http://ns.adobe.com/xap/1.0/\0", 29));
  CHECK(marked.substr(at + 33, packet.size()) == packet);
  CHECK(psnr(decode_picture(marked, "p"), decode_picture(plain, "p")) == 99);
  write_file(folder / "a.jpg", marked);
  check_read(folder / "a.jpg", kGenerated);
}

TEST_CASE("An MP4's mark is its last box, and the clip still plays") {
  const TemporaryFolder folder;
  for (const std::string name : {"a.mp4", "a.mov", "a.m4v", "a.mkv"}) {
    CAPTURE(name);
    WriterOptions options;
    options.mark = name == "a.mov" ? SourceType::generated : SourceType::composite;
    VideoWriter writer(folder / name, VideoFormat::simple(32, 32, 25), options);
    for (int i = 0; i < 5; ++i) writer.write(test_picture(32, 32, i), i);
    writer.finish();
    check_read(folder / name, name == "a.mov" ? kGenerated : kComposite);
    CHECK(raw_frames(folder / name).size() == 5);
    if (name == "a.mkv") continue;
    const std::string bytes = read_file(folder / name);
    size_t at = 0, last = 0;
    std::vector<std::string> boxes;
    while (at < bytes.size()) {
      REQUIRE(number(bytes, at) >= 8);
      boxes.push_back(bytes.substr(at + 4, 4));
      last = at;
      at += number(bytes, at);
    }
    CHECK(at == bytes.size());
    CHECK(boxes.back() == "uuid");
    CHECK(bytes.substr(last + 8, 16) ==
          std::string("\xBE\x7A\xCF\xCB\x97\xA9\x42\xE8\x9C\x71\x99\x94\x91\xE3\xAF\xAC", 16));
    CHECK(bytes.substr(last + 24) == xmp_packet(options.mark));
    // The index is in front of the data.
    CHECK(std::find(boxes.begin(), boxes.end(), "moov") < std::find(boxes.begin(), boxes.end(), "mdat"));
  }
}

TEST_CASE("Files without a mark say nothing") {
  const TemporaryFolder folder;
  write_picture(folder / "a.png", test_picture(8, 8));
  write_picture(folder / "a.jpg", test_picture(8, 8));
  write_tone(folder / "a.mp4", 0.1);
  write_file(folder / "a.txt", kComposite);
  write_file(folder / "empty.png", "");
  write_file(folder / "cut.png", read_file(folder / "a.png").substr(0, 30));
  write_file(folder / "bad.mp4", std::string("\0\0\0\x08"
                                             "ftyp\0\0\0\0mdat",
                                             16));
  for (const char* name : {"a.png", "a.jpg", "a.mp4", "a.txt", "empty.png", "cut.png", "bad.mp4"}) {
    CAPTURE(name);
    CHECK_FALSE(read_provenance(folder / name));
  }
  CHECK_THROWS_AS(read_provenance(folder / "missing.png"), Error);
  CHECK_THROWS_AS(mark_picture("neither", SourceType::composite), Error);
  CHECK_THROWS_AS(mark_mp4(folder / "missing.mp4", SourceType::composite), Error);
}

TEST_CASE("Another program's mark is read and is not ours") {
  const TemporaryFolder folder;
  std::string png = mark_picture(encode_png(test_picture(8, 8)), SourceType::composite);
  const size_t at = png.find(creator_tool());
  png.replace(at, 6, "gopher");  // the chunk's sum is wrong now, which only strict decoders mind
  write_file(folder / "a.png", png);
  const auto read = read_provenance(folder / "a.png");
  REQUIRE(read);
  CHECK(read->source_type == kComposite);
  CHECK_FALSE(read->ours());
}
