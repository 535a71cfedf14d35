// Where a face set may be written, and how it goes on after a crash.
#include <catch2/catch.hpp>
#include <filesystem>

#include "face_sets.h"
#include "runtime/atomic_file.h"

using namespace doppel;
using namespace doppel::testing;
namespace fs = std::filesystem;

TEST_CASE("the writer refuses folders that are not its own") {
  const TemporaryFolder scratch;
  const std::string path = scratch / "set";
  SECTION("other files") {
    fs::create_directory(path);
    put(path + "/letters.txt", "dear");
    CHECK(contains(message_of([&] { FaceSetWriter(path, kHeader); }), "letters.txt"));
    CHECK(read_file(path + "/letters.txt") == "dear");
  }
  SECTION("a file") {
    put(path, "x");
    CHECK(contains(message_of([&] { FaceSetWriter(path, kHeader); }), path));
  }
  SECTION("a set of another size or coverage") {
    make_set(path);
    CHECK(contains(message_of([&] { FaceSetWriter(path, {64, 2.1f}); }), "size 32"));
    CHECK(contains(message_of([&] { FaceSetWriter(path, {kSize, 1.8f}); }), "coverage 2.1"));
    CHECK(FaceSet::load(path).faces.size() == 5);
  }
  SECTION("an altered set") {
    make_set(path);
    std::string text = read_file(path + "/manifest.jsonl");
    text[text.size() / 2] ^= 1;
    put(path + "/manifest.jsonl", text);
    CHECK(contains(message_of([&] { FaceSetWriter(path, kHeader); }), "damaged in line"));
    CHECK(read_file(path + "/manifest.jsonl") == text);
  }
  SECTION("a set that somebody else is writing") {
    FaceSetWriter first(path, kHeader);
    CHECK(contains(message_of([&] { FaceSetWriter(path, kHeader); }), "another doppel"));
  }
  SECTION("an empty folder, and what a crash at the first instant leaves, are fine") {
    fs::create_directory(path);
    put(path + "/manifest.jsonl.new-123", "{\"form");
    FaceSetWriter(path, kHeader).finish();
    CHECK(FaceSet::load(path).faces.empty());
  }
}

TEST_CASE("after a crash at any byte of the manifest the work goes on and ends in the same set") {
  const TemporaryFolder scratch;
  const std::string whole = scratch / "whole", path = scratch / "set", manifest = path + "/manifest.jsonl";
  make_set(whole);
  const std::string good = read_file(whole + "/manifest.jsonl");
  const size_t header = lines_of(good)[0].size();
  for (size_t length = header; length <= good.size(); length += 41) {
    fs::remove_all(path);
    fs::copy(whole, path);
    put(manifest, good.substr(0, length));
    {
      FaceSetWriter writer(path, kHeader);
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
  const TemporaryFolder scratch;
  const std::string path = scratch / "set";
  {
    FaceSetWriter writer(path, kHeader);
    writer.append(record(0), crop(0));
    writer.note_source(source("a.mp4", 10, 1, false));
    writer.append(record(11), crop(40));  // after the last note: lost in the crash
  }
  CHECK(contains(message_of([&] { FaceSet::load(path); }), "unfinished"));
  {
    FaceSetWriter writer(path, kHeader);
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
    FaceSetWriter writer(path, kHeader);
    CHECK(writer.source("key of a.mp4")->done);
    writer.finish();  // nothing new
  }
  CHECK(read_file(path + "/manifest.jsonl") == finished);
  {
    FaceSetWriter writer(path, kHeader);
    writer.append(record(0), crop(80));
  }
  CHECK(contains(message_of([&] { FaceSet::load(path); }), "unfinished"));
  {
    FaceSetWriter writer(path, kHeader);
    writer.append(record(0), crop(80));
    writer.note_source(source("c.mp4", 1, 1, true));
    writer.finish();
  }
  const FaceSet set = FaceSet::load(path);
  CHECK(set.faces.size() == 3);
  CHECK(set.sources.size() == 2);
}
