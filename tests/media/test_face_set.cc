// Face sets written and read again.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "face_sets.h"
#include "runtime/error.h"

using namespace doppel;
using namespace doppel::testing;
namespace fs = std::filesystem;

TEST_CASE("a face set gives back what was written") {
  const TemporaryFolder scratch;
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
  const TemporaryFolder scratch;
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
  const TemporaryFolder scratch;
  const std::string path = scratch / "set";
  constexpr size_t kFaces = 1100;
  {
    FaceSetWriter writer(path, kHeader);
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
