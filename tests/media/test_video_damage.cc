// Clips that are damaged, or none, and clips that cannot be written.
#include <catch2/catch.hpp>
#include <filesystem>

#include "clips.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

using namespace doppel;

TEST_CASE("A clip that is cut short is read up to its end and says so") {
  const TemporaryFolder folder;
  for (const std::string kind : {".mp4", ".mkv"}) {
    CAPTURE(kind);
    write_test_clip(folder / ("a" + kind), plain_format(96, 96), even_times(120, 1));
    const std::string whole = read_file(folder / ("a" + kind));
    write_file(folder / ("cut" + kind), std::string_view(whole).substr(0, whole.size() * 6 / 10));
    const ReadClip all = read_all(folder / ("cut" + kind));
    CHECK(all.images.size() > 10);
    CHECK(all.images.size() < 120);
    CHECK(all.damage.find("cut short after " + std::to_string(all.images.size())) == 0);
    for (size_t i = 1; i < all.images.size(); ++i) CHECK(all.times[i] > all.times[i - 1]);
    for (size_t i = 0; i + 8 < all.images.size(); ++i) CHECK(psnr(all.images[i], test_picture(96, 96, int(i))) > 30);
  }
}

TEST_CASE("Damage in the middle neither stops nor fools the reader") {
  const TemporaryFolder folder;
  write_test_clip(folder / "a.mp4", plain_format(96, 96), even_times(60, 1));
  std::string bytes = read_file(folder / "a.mp4");
  const size_t data = bytes.find("mdat");
  REQUIRE(data != bytes.npos);
  for (size_t i = data + 1500; i + 4000 < bytes.size(); i += 97) bytes[i] = char(bytes[i] ^ 0x5A);
  write_file(folder / "bad.mp4", bytes);
  const ReadClip all = read_all(folder / "bad.mp4");
  CHECK_FALSE(all.damage.empty());
  for (size_t i = 1; i < all.times.size(); ++i) CHECK(all.times[i] > all.times[i - 1]);
}

TEST_CASE("Files that are no clips are named") {
  const TemporaryFolder folder;
  write_file(folder / "empty.mp4", "");
  write_file(folder / "text.mp4", "This is a text, and no clip, however long it may be.\n");
  write_file(folder / "noise.mp4", std::string(5000, '\xA7'));
  write_tone(folder / "tone.mp4", 0.2);
  write_test_clip(folder / "a.mp4", plain_format(32, 32), even_times(3, 1));
  write_file(folder / "head.mp4", read_file(folder / "a.mp4").substr(0, 200));
  const auto said = [&](const std::string& name) { return message_of([&] { VideoReader reader(folder / name); }); };
  using Catch::Contains;
  CHECK_THAT(said("missing.mp4"), Contains("missing.mp4: no such file"));
  CHECK_THAT(said("empty.mp4"), Contains("empty.mp4: the file is empty"));
  CHECK_THAT(said("text.mp4"), Contains("text.mp4: not a clip"));
  CHECK_THAT(said("noise.mp4"), Contains("noise.mp4: not a clip"));
  CHECK_THAT(said("head.mp4"), Contains("head.mp4"));
  CHECK_THAT(said("tone.mp4"), Contains("tone.mp4: has no video"));
  CHECK_THAT(said("."), Contains("is a folder"));
  for (const char* name : {"missing.mp4", "empty.mp4", "text.mp4", "noise.mp4", "head.mp4", "tone.mp4"})
    CHECK(said(name).find('\n') == std::string::npos);
}

TEST_CASE("A clip that is not finished leaves nothing, and the old one stands") {
  const TemporaryFolder folder;
  write_file(folder / "a.mp4", "old");
  {
    VideoWriter writer(folder / "a.mp4", plain_format(32, 32));
    writer.write(test_picture(32, 32), 0);
  }
  CHECK(read_file(folder / "a.mp4") == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("The writer refuses what it cannot do") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(VideoWriter(folder / "a.avi", plain_format(32, 32)), UsageError);
  CHECK_THROWS_AS(VideoWriter(folder / "no/such/a.mp4", plain_format(32, 32)), Error);
  VideoWriter writer(folder / "a.mp4", plain_format(32, 32));
  CHECK_THROWS_AS(writer.write(test_picture(16, 32), 0), Error);
}
