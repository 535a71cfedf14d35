// Face sets that are altered, cut short, or none.
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>

#include "face_sets.h"
#include "runtime/atomic_file.h"

using namespace doppel;
using namespace doppel::testing;
namespace fs = std::filesystem;

TEST_CASE("a flipped bit anywhere in the manifest is refused") {
  const TemporaryFolder scratch;
  const std::string path = scratch / "set", manifest = path + "/manifest.jsonl";
  make_set(path);
  const std::string good = read_file(manifest);
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string bad = good;
    bad[at] = char(bad[at] ^ (1 << (at % 8)));
    put(manifest, bad);
    const std::string error = message_of([&] { FaceSet::load(path); });
    CAPTURE(at, error);
    REQUIRE(contains(error, manifest));
  }
}

TEST_CASE("a manifest cut anywhere is refused, and says how to go on") {
  const TemporaryFolder scratch;
  const std::string path = scratch / "set", manifest = path + "/manifest.jsonl";
  make_set(path);
  const std::string good = read_file(manifest);
  const size_t header = lines_of(good)[0].size();
  for (size_t length = 0; length < good.size(); length += 11) {
    put(manifest, good.substr(0, length));
    const std::string error = message_of([&] { FaceSet::load(path); });
    CAPTURE(length, error);
    REQUIRE(contains(error, manifest));
    REQUIRE(
        (contains(error, "extract again") || contains(error, "extract it again") || contains(error, "doppel extract")));
    if (length >= header) REQUIRE(contains(error, "unfinished or cut short"));
  }
}

TEST_CASE("an altered, cut or foreign crop is refused by name") {
  const TemporaryFolder scratch;
  const std::string path = scratch / "set", file = path + "/000002.jpg";
  make_set(path);
  const std::string good = read_file(file);
  std::string flipped = good;
  flipped[good.size() / 2] = char(flipped[good.size() / 2] ^ 4);
  for (const std::string& bad : {flipped, good.substr(0, good.size() - 5), std::string(), std::string("not a picture"),
                                 read_file(path + "/000001.jpg")}) {
    put(file, bad);
    const FaceSet set = FaceSet::load(path);
    CHECK(contains(message_of([&] { pixels_of(set); }), file));
  }
}

TEST_CASE("what is not a face set of this version is refused") {
  const TemporaryFolder scratch;
  const std::string path = scratch / "set", manifest = path + "/manifest.jsonl";
  CHECK(contains(message_of([&] { FaceSet::load(path); }), "is not a face set"));
  fs::create_directory(path);
  CHECK(contains(message_of([&] { FaceSet::load(path); }), "is not a face set"));
  put(manifest, "{\"hello\":1}\n");
  CHECK(contains(message_of([&] { FaceSet::load(path); }), "not a face set's manifest"));
  const std::string json = "{\"format\":\"doppel face set\",\"version\":2,\"size\":32,\"coverage\":2.1}";
  char sum[16];
  std::snprintf(sum, sizeof sum, "\t%08x\n", crc32(json.data(), json.size()));
  put(manifest, json + sum);
  CHECK(contains(message_of([&] { FaceSet::load(path); }), "version 2"));
  CHECK(contains(message_of([&] { FaceSetWriter(path, kHeader); }), "version 2"));
}
