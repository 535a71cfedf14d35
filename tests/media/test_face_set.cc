#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "media/face_set.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"
#include "runtime/image.h"

using namespace doppel;
namespace fs = std::filesystem;

namespace {

// A folder that goes away with the test.
struct Scratch {
  fs::path path;
  Scratch() {
    std::string name = (fs::temp_directory_path() / "doppel_face_set_XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

constexpr int kSize = 32;

Image crop(int shade) {
  Image image(kSize, kSize);
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      uint8_t* p = image.row(y) + 3 * x;
      p[0] = uint8_t(shade);
      p[1] = uint8_t(4 * x);
      p[2] = uint8_t(4 * y);
    }
  }
  return image;
}

FaceRecord record(int frame) {
  FaceRecord r;
  r.source = "clips/a \"quoted\".mp4";
  r.frame = frame;
  r.time = frame / 29.97;
  for (size_t i = 0; i < r.landmarks.size(); ++i) r.landmarks[i] = {100.25f + float(i), 50.5f - float(frame)};
  r.transform = {0.51f, -0.123456f, 3.75f, 0.123456f, 0.51f, -80.5f};
  r.sharpness = 123.4f;
  r.yaw = -12.25f;
  r.pitch = 3;
  r.roll = 0.5f;
  return r;
}

FaceSource source(const std::string& name, int frames, int faces, bool done) {
  return {name, "key of " + name, frames, faces, frames - faces, done};
}

// Two sources, five faces, finished.
void make_set(const std::string& path) {
  FaceSetWriter writer(path, {kSize, 2.1f});
  for (int i = 0; i < 3; ++i) writer.append(record(i), crop(40 * i));
  writer.note_source(source("a.mp4", 4, 3, true));
  for (int i = 3; i < 5; ++i) writer.append(record(i), crop(40 * i));
  writer.note_source(source("b.mp4", 2, 2, true));
  writer.finish();
}

// Not synced, unlike write_file(): some tests write thousands of damaged manifests.
void put(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<uint8_t> pixels_of(const FaceSet& set) {
  std::vector<uint8_t> pixels(set.pixel_bytes());
  set.load_pixels(pixels.data());
  return pixels;
}

// Lines of the manifest.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  return lines;
}

}  // namespace

TEST_CASE("a face set gives back what was written") {
  const Scratch scratch;
  const std::string path = scratch / "deep/new/set";
  make_set(path);
  CHECK(is_face_set(path));
  const FaceSet set = FaceSet::load(path);
  CHECK(set.header.size == kSize);
  CHECK(set.header.coverage == 2.1f);
  REQUIRE(set.faces.size() == 5);
  CHECK(set.deleted == 0);
  for (int i = 0; i < 5; ++i) {
    const FaceRecord &r = set.faces[size_t(i)], wanted = record(i);
    CHECK(r.source == wanted.source);
    CHECK(r.frame == i);
    CHECK(r.time == Approx(wanted.time).epsilon(1e-9));
    CHECK(r.transform.a == wanted.transform.a);
    CHECK(r.transform.b == wanted.transform.b);
    CHECK(r.transform.ty == wanted.transform.ty);
    CHECK(r.landmarks[67].x == wanted.landmarks[67].x);
    CHECK(r.landmarks[3].y == wanted.landmarks[3].y);
    CHECK(r.sharpness == wanted.sharpness);
    CHECK(r.yaw == wanted.yaw);
  }
  REQUIRE(set.sources.size() == 2);
  CHECK(set.sources[0].without_face == 1);
  CHECK(set.sources[1].done);
  const std::vector<uint8_t> pixels = pixels_of(set);
  REQUIRE(pixels.size() == 5u * kSize * kSize * 3);
  int worst = 0;
  for (int i = 0; i < 5; ++i) {
    const Image wanted = crop(40 * i);
    for (size_t k = 0; k < wanted.size_bytes(); ++k) {
      worst = std::max(worst, std::abs(wanted.data()[k] - pixels[size_t(i) * wanted.size_bytes() + k]));
    }
  }
  CHECK(worst <= 8);  // JPEG of quality 97
}

TEST_CASE("crops deleted by hand are skipped and counted") {
  const Scratch scratch;
  const std::string path = scratch / "set";
  make_set(path);
  fs::remove(path + "/000001.jpg");
  fs::remove(path + "/000004.jpg");
  const FaceSet set = FaceSet::load(path);
  CHECK(set.faces.size() == 3);
  CHECK(set.deleted == 2);
  CHECK(set.faces[1].file == "000002.jpg");
  CHECK(pixels_of(set).size() == 3u * kSize * kSize * 3);
}

TEST_CASE("a large face set is loaded part by part, and can be stopped between") {
  const Scratch scratch;
  const std::string path = scratch / "set";
  constexpr size_t kFaces = 1100;
  {
    FaceSetWriter writer(path, {kSize, 2.1f});
    std::vector<std::string> crops;
    for (int i = 0; i < 5; ++i) crops.push_back(encode_crop(crop(40 * i)));
    for (size_t i = 0; i < kFaces; ++i) writer.append(record(int(i)), crops[i % 5]);
    writer.finish();
  }
  const FaceSet set = FaceSet::load(path);
  REQUIRE(set.pixel_bytes() == kFaces * kSize * kSize * 3);
  const size_t face = kSize * kSize * 3;
  std::vector<uint8_t> pixels(set.pixel_bytes());
  std::vector<std::pair<size_t, size_t>> parts;
  set.load_pixels(pixels.data(), [&](size_t begin, size_t end) {
    parts.emplace_back(begin, end);
    CHECK(std::equal(&pixels[(end - 1) % 5 * face], &pixels[((end - 1) % 5 + 1) * face], &pixels[(end - 1) * face]));
    pixels[begin * face] = 99;  // is kept
  });
  REQUIRE(parts.size() > 1);
  size_t next = 0;
  for (const auto& [begin, end] : parts) {
    CHECK(begin == next);
    CHECK(end > begin);
    CHECK(pixels[begin * face] == 99);
    next = end;
  }
  CHECK(next == kFaces);

  size_t loaded = 0;
  CHECK_THROWS_AS(set.load_pixels(pixels.data(),
                                  [&](size_t, size_t end) {
                                    loaded = end;
                                    throw Error("enough");
                                  }),
                  Error);
  CHECK(loaded == parts[0].second);
}

TEST_CASE("a flipped bit anywhere in the manifest is refused") {
  const Scratch scratch;
  const std::string path = scratch / "set", manifest = path + "/manifest.jsonl";
  make_set(path);
  const std::string good = read_file(manifest);
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string bad = good;
    bad[at] = char(bad[at] ^ (1 << (at % 8)));
    put(manifest, bad);
    const std::string error = error_of([&] { FaceSet::load(path); });
    CAPTURE(at, error);
    REQUIRE(contains(error, manifest));
  }
}

TEST_CASE("a manifest cut anywhere is refused, and says how to go on") {
  const Scratch scratch;
  const std::string path = scratch / "set", manifest = path + "/manifest.jsonl";
  make_set(path);
  const std::string good = read_file(manifest);
  const size_t header = lines_of(good)[0].size();
  for (size_t length = 0; length < good.size(); length += 11) {
    put(manifest, good.substr(0, length));
    const std::string error = error_of([&] { FaceSet::load(path); });
    CAPTURE(length, error);
    REQUIRE(contains(error, manifest));
    REQUIRE(
        (contains(error, "extract again") || contains(error, "extract it again") || contains(error, "doppel extract")));
    if (length >= header) REQUIRE(contains(error, "unfinished or cut short"));
  }
}

TEST_CASE("an altered, cut or foreign crop is refused by name") {
  const Scratch scratch;
  const std::string path = scratch / "set", file = path + "/000002.jpg";
  make_set(path);
  const std::string good = read_file(file);
  std::string flipped = good;
  flipped[good.size() / 2] = char(flipped[good.size() / 2] ^ 4);
  for (const std::string& bad : {flipped, good.substr(0, good.size() - 5), std::string(), std::string("not a picture"),
                                 read_file(path + "/000001.jpg")}) {
    put(file, bad);
    const FaceSet set = FaceSet::load(path);
    CHECK(contains(error_of([&] { pixels_of(set); }), file));
  }
}

TEST_CASE("what is not a face set of this version is refused") {
  const Scratch scratch;
  const std::string path = scratch / "set", manifest = path + "/manifest.jsonl";
  CHECK(contains(error_of([&] { FaceSet::load(path); }), "is not a face set"));
  fs::create_directory(path);
  CHECK(contains(error_of([&] { FaceSet::load(path); }), "is not a face set"));
  put(manifest, "{\"hello\":1}\n");
  CHECK(contains(error_of([&] { FaceSet::load(path); }), "not a face set's manifest"));
  const std::string json = "{\"format\":\"doppel face set\",\"version\":2,\"size\":32,\"coverage\":2.1}";
  char sum[16];
  std::snprintf(sum, sizeof sum, "\t%08x\n", crc32(json.data(), json.size()));
  put(manifest, json + sum);
  CHECK(contains(error_of([&] { FaceSet::load(path); }), "version 2"));
  CHECK(contains(error_of([&] { FaceSetWriter(path, {kSize, 2.1f}); }), "version 2"));
}

TEST_CASE("the writer refuses folders that are not its own") {
  const Scratch scratch;
  const std::string path = scratch / "set";
  SECTION("other files") {
    fs::create_directory(path);
    put(path + "/letters.txt", "dear");
    CHECK(contains(error_of([&] { FaceSetWriter(path, {kSize, 2.1f}); }), "letters.txt"));
    CHECK(read_file(path + "/letters.txt") == "dear");
  }
  SECTION("a file") {
    put(path, "x");
    CHECK(contains(error_of([&] { FaceSetWriter(path, {kSize, 2.1f}); }), path));
  }
  SECTION("a set of another size or coverage") {
    make_set(path);
    CHECK(contains(error_of([&] { FaceSetWriter(path, {64, 2.1f}); }), "size 32"));
    CHECK(contains(error_of([&] { FaceSetWriter(path, {kSize, 1.8f}); }), "coverage 2.1"));
    CHECK(FaceSet::load(path).faces.size() == 5);
  }
  SECTION("an altered set") {
    make_set(path);
    std::string text = read_file(path + "/manifest.jsonl");
    text[text.size() / 2] ^= 1;
    put(path + "/manifest.jsonl", text);
    CHECK(contains(error_of([&] { FaceSetWriter(path, {kSize, 2.1f}); }), "damaged in line"));
    CHECK(read_file(path + "/manifest.jsonl") == text);
  }
  SECTION("a set that somebody else is writing") {
    FaceSetWriter first(path, {kSize, 2.1f});
    CHECK(contains(error_of([&] { FaceSetWriter(path, {kSize, 2.1f}); }), "another doppel"));
  }
  SECTION("an empty folder, and what a crash at the first instant leaves, are fine") {
    fs::create_directory(path);
    put(path + "/manifest.jsonl.new-123", "{\"form");
    FaceSetWriter(path, {kSize, 2.1f}).finish();
    CHECK(FaceSet::load(path).faces.empty());
  }
}

TEST_CASE("after a crash at any byte of the manifest the work goes on and ends in the same set") {
  const Scratch scratch;
  const std::string whole = scratch / "whole", path = scratch / "set", manifest = path + "/manifest.jsonl";
  make_set(whole);
  const std::string good = read_file(whole + "/manifest.jsonl");
  const size_t header = lines_of(good)[0].size();
  for (size_t length = header; length <= good.size(); length += 41) {
    fs::remove_all(path);
    fs::copy(whole, path);
    put(manifest, good.substr(0, length));
    {
      FaceSetWriter writer(path, {kSize, 2.1f});
      const FaceSource* a = writer.source("key of a.mp4");
      const FaceSource* b = writer.source_named("b.mp4");
      CAPTURE(length);
      REQUIRE(writer.faces() == (b ? 5 : a ? 3 : 0));
      REQUIRE(fs::exists(path + "/000003.jpg") == (b != nullptr));  // crops without a line are gone
      for (int i = int(writer.faces()); i < 5; ++i) {
        writer.append(record(i), crop(40 * i));
        if (i == 2) writer.note_source(source("a.mp4", 4, 3, true));
        if (i == 4) writer.note_source(source("b.mp4", 2, 2, true));
      }
      writer.finish();
    }
    REQUIRE(read_file(manifest) == good);
    REQUIRE(pixels_of(FaceSet::load(path)).size() == 5u * kSize * kSize * 3);
  }
}

TEST_CASE("a source that was interrupted goes on where it was noted; a finished set can be added to") {
  const Scratch scratch;
  const std::string path = scratch / "set";
  {
    FaceSetWriter writer(path, {kSize, 2.1f});
    writer.append(record(0), crop(0));
    writer.note_source(source("a.mp4", 10, 1, false));
    writer.append(record(11), crop(40));  // after the last note: lost in the crash
  }
  CHECK(contains(error_of([&] { FaceSet::load(path); }), "unfinished"));
  {
    FaceSetWriter writer(path, {kSize, 2.1f});
    REQUIRE(writer.source("key of a.mp4"));
    CHECK(writer.source("key of a.mp4")->frames == 10);
    CHECK(!writer.source("key of a.mp4")->done);
    CHECK(writer.faces() == 1);
    writer.append(record(11), crop(40));
    writer.note_source(source("a.mp4", 20, 2, true));
    writer.finish();
  }
  const std::string finished = read_file(path + "/manifest.jsonl");
  {
    FaceSetWriter writer(path, {kSize, 2.1f});
    CHECK(writer.source("key of a.mp4")->done);
    writer.finish();  // nothing new
  }
  CHECK(read_file(path + "/manifest.jsonl") == finished);
  {
    FaceSetWriter writer(path, {kSize, 2.1f});
    writer.append(record(0), crop(80));
  }
  CHECK(contains(error_of([&] { FaceSet::load(path); }), "unfinished"));
  {
    FaceSetWriter writer(path, {kSize, 2.1f});
    writer.append(record(0), crop(80));
    writer.note_source(source("c.mp4", 1, 1, true));
    writer.finish();
  }
  const FaceSet set = FaceSet::load(path);
  CHECK(set.faces.size() == 3);
  CHECK(set.sources.size() == 2);
}
