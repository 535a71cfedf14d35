// Clips written and read again: pictures, times, sound.
#include <catch2/catch.hpp>

#include "clips.h"
#include "media/video_reader.h"
#include "media/video_writer.h"

using namespace doppel;

TEST_CASE("A clip comes back with its pictures, times, rate and tags") {
  const TemporaryFolder folder;
  VideoFormat format = plain_format(64, 48);
  format.time_base = {1, 600};  // a camera's; the muxer by itself would choose another
  format.sample_aspect = {15, 16};
  format.color = {1, 5, 6, 6, 1};  // BT.470BG, SMPTE 170M: PAL's tags, no default of anybody
  // Uneven, and not starting at 0.
  const std::vector<int64_t> times = {45, 65, 85, 125, 128, 129, 200, 220, 240, 400, 420};
  write_test_clip(folder / "a.mp4", format, times);

  VideoReader reader(folder / "a.mp4");
  CHECK(reader.format().width == 64);
  CHECK(reader.format().height == 48);
  CHECK(reader.format().time_base.num == 1);
  CHECK(reader.format().time_base.den == 600);
  CHECK(reader.format().sample_aspect.value() == Approx(15.0 / 16));
  CHECK(reader.format().color.range == 1);
  CHECK(reader.format().color.primaries == 5);
  CHECK(reader.format().color.transfer == 6);
  CHECK(reader.format().color.matrix == 6);
  CHECK(reader.format().orientation == 1);
  CHECK(reader.frame_count() == int64_t(times.size()));
  CHECK(reader.variable_rate());

  const ReadClip all = read_all(folder / "a.mp4");
  CHECK(all.times == times);
  CHECK(all.damage.empty());
  for (size_t i = 0; i < all.images.size(); ++i) CHECK(psnr(all.images[i], test_picture(64, 48, int(i))) > 32);
  for (size_t i = 0; i + 1 < times.size(); ++i) CHECK(all.durations[i] == times[i + 1] - times[i]);
  CHECK(all.durations.back() == 20);  // not given, so one frame at the average rate
}

TEST_CASE("The last frame is shown as long as before") {
  const TemporaryFolder folder;
  for (const std::string name : {"a.mp4", "a.mkv"}) {
    WriterOptions options;
    VideoFormat format = plain_format(32, 32);
    format.time_base = {1, 1000};
    VideoWriter writer(folder / name, format, options);
    for (int i = 0; i < 6; ++i) writer.write(test_picture(32, 32, i), 40 * i, i == 5 ? 2500 : 40);
    writer.finish();
    VideoReader reader(folder / name);
    VideoFrame frame;
    while (reader.next(frame)) continue;
    CHECK(reader.damage().empty());
    const double seconds = double(frame.duration) * reader.format().time_base.value();
    CHECK(seconds == Approx(2.5).margin(0.002));
  }
}

TEST_CASE("An evenly timed clip is not variable, and its length is known") {
  const TemporaryFolder folder;
  write_test_clip(folder / "a.mov", plain_format(32, 32), even_times(45, 1));
  VideoReader reader(folder / "a.mov");
  CHECK_FALSE(reader.variable_rate());
  CHECK(reader.duration() == Approx(1.5).margin(1e-3));
  CHECK(reader.frame_count() == 45);
  CHECK(reader.format().average_rate.value() == Approx(30));
  CHECK(read_all(folder / "a.mov").images.size() == 45);
}

TEST_CASE("Skipping yields the same times without pictures") {
  const TemporaryFolder folder;
  write_test_clip(folder / "a.mp4", plain_format(32, 32), even_times(12, 1));
  VideoReader reader(folder / "a.mp4");
  VideoFrame frame;
  int64_t frames = 0;
  while (reader.skip(frame)) {
    CHECK(frame.index == frames++);
    CHECK(frame.image.empty());
  }
  CHECK(frames == 12);
}

TEST_CASE("MKV keeps times to its millisecond, and shows turned clips upright") {
  const TemporaryFolder folder;
  VideoFormat format = plain_format(32, 64);
  format.time_base = {1, 1000};
  format.display_matrix = {0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30};
  format.has_display_matrix = true;
  format.orientation = 6;
  const std::vector<int64_t> times = {0, 33, 67, 150, 151, 400, 433, 467, 500};
  write_test_clip(folder / "a.mkv", format, times);
  const ReadClip all = read_all(folder / "a.mkv");
  CHECK(all.times == times);
  CHECK(psnr(all.images[3], test_picture(32, 64, 3)) > 30);
}

TEST_CASE("Audio passes through packet by packet, also beyond the end of the video") {
  const TemporaryFolder folder;
  write_tone(folder / "tone.mp4", 2.5);
  for (const std::string name : {"a.mp4", "a.mov", "a.mkv"}) {
    CAPTURE(name);
    WriterOptions options;
    options.copy_from = folder / "tone.mp4";
    VideoWriter writer(folder / name, plain_format(32, 32), options);
    for (int i = 0; i < 30; ++i) writer.write(test_picture(32, 32, i), i);
    writer.finish();
    const auto before = packets_of(folder / "tone.mp4", 'a'), after = packets_of(folder / name, 'a');
    REQUIRE(before.size() > 100);
    REQUIRE(after.size() == before.size());
    size_t same = 0;
    for (size_t i = 0; i < before.size(); ++i)
      same += before[i].bytes == after[i].bytes && (name == "a.mkv" || std::abs(before[i].time - after[i].time) < 1e-5);
    CHECK(same == before.size());
    CHECK(packets_of(folder / name, 'v').size() == 30);
  }
}
