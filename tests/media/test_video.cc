#include <catch2/catch.hpp>
#include <filesystem>

#include "clips.h"
#include "media/orientation.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

using namespace doppel;

namespace {

struct Read {
  std::vector<Image> images;
  std::vector<int64_t> times, durations;
  std::string damage;
};

Read read_all(const std::string& path) {
  VideoReader reader(path);
  Read all;
  VideoFrame frame;
  while (reader.next(frame)) {
    all.images.push_back(frame.image);
    all.times.push_back(frame.pts);
    all.durations.push_back(frame.duration);
  }
  all.damage = reader.damage();
  return all;
}

std::vector<int64_t> even_times(int frames, int64_t step) {
  std::vector<int64_t> times;
  for (int i = 0; i < frames; ++i) times.push_back(i * step);
  return times;
}

VideoFormat plain(int width, int height) {
  return VideoFormat::simple(width, height, 30);
}

}  // namespace

TEST_CASE("A clip comes back with its pictures, times, rate and tags") {
  const TemporaryFolder folder;
  VideoFormat format = plain(64, 48);
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

  const Read all = read_all(folder / "a.mp4");
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
    VideoFormat format = plain(32, 32);
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
  write_test_clip(folder / "a.mov", plain(32, 32), even_times(45, 1));
  VideoReader reader(folder / "a.mov");
  CHECK_FALSE(reader.variable_rate());
  CHECK(reader.duration() == Approx(1.5).margin(1e-3));
  CHECK(reader.frame_count() == 45);
  CHECK(reader.format().average_rate.value() == Approx(30));
  CHECK(read_all(folder / "a.mov").images.size() == 45);
}

TEST_CASE("Skipping yields the same times without pictures") {
  const TemporaryFolder folder;
  write_test_clip(folder / "a.mp4", plain(32, 32), even_times(12, 1));
  VideoReader reader(folder / "a.mp4");
  VideoFrame frame;
  int64_t frames = 0;
  while (reader.skip(frame)) {
    CHECK(frame.index == frames++);
    CHECK(frame.image.empty());
  }
  CHECK(frames == 12);
}

TEST_CASE("Unknown colour tags stay unknown") {
  const TemporaryFolder folder;
  VideoFormat format = plain(32, 32);
  format.color = {};
  write_test_clip(folder / "a.mp4", format, even_times(4, 1));
  const VideoReader reader(folder / "a.mp4");
  CHECK(reader.format().color.range == 0);
  CHECK(reader.format().color.primaries == 2);
  CHECK(reader.format().color.transfer == 2);
  CHECK(reader.format().color.matrix == 2);
}

TEST_CASE("Colour follows matrix and range") {
  // Pure red: luma is the matrix's red weight, in the tagged range. BT.709: 0.2126, BT.601: 0.299, BT.2020: 0.2627.
  const TemporaryFolder folder;
  struct Case {
    int range, matrix;
    double luma;
  };
  for (const Case c : {Case{1, 1, 16 + 219 * 0.2126}, Case{2, 1, 255 * 0.2126}, Case{1, 6, 16 + 219 * 0.299},
                       Case{2, 5, 255 * 0.299}, Case{1, 9, 16 + 219 * 0.2627}}) {
    CAPTURE(c.range, c.matrix);
    VideoFormat format = plain(32, 32);
    format.color = {c.range, 1, 1, c.matrix, 1};
    const std::string path = folder / ("c" + std::to_string(c.range) + std::to_string(c.matrix) + ".mp4");
    VideoWriter writer(path, format);
    for (int i = 0; i < 3; ++i) writer.write(flat_picture(32, 32, 255, 0, 0), i);
    writer.finish();
    CHECK(double(uint8_t(raw_frames(path)[0].planes[0][16 * 32 + 16])) == Approx(c.luma).margin(2.1));
    const VideoReader reader(path);
    CHECK(reader.format().color.range == c.range);
    CHECK(reader.format().color.matrix == c.matrix);
    CHECK(psnr(read_all(path).images[1], flat_picture(32, 32, 255, 0, 0)) > 36);
  }
}

TEST_CASE("Turned clips are upright in hand and turned as before in the file") {
  const TemporaryFolder folder;
  constexpr int32_t kOne = 1 << 16, kUnit = 1 << 30;
  // Matrices as cameras write them (columns: a b u, c d v, x y w), for 64 x 32 stored pictures.
  const std::vector<std::array<int32_t, 9>> matrices = {
      {kOne, 0, 0, 0, kOne, 0, 0, 0, kUnit},
      {-kOne, 0, 0, 0, kOne, 0, 64 * kOne, 0, kUnit},
      {-kOne, 0, 0, 0, -kOne, 0, 64 * kOne, 32 * kOne, kUnit},
      {kOne, 0, 0, 0, -kOne, 0, 0, 32 * kOne, kUnit},
      {0, kOne, 0, kOne, 0, 0, 0, 0, kUnit},
      {0, kOne, 0, -kOne, 0, 0, 32 * kOne, 0, kUnit},
      {0, -kOne, 0, -kOne, 0, 0, 32 * kOne, 64 * kOne, kUnit},
      {0, -kOne, 0, kOne, 0, 0, 0, 64 * kOne, kUnit},
  };
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    VideoFormat format = plain(swaps_sides(orientation) ? 32 : 64, swaps_sides(orientation) ? 64 : 32);
    format.display_matrix = matrices[orientation - 1];
    format.has_display_matrix = true;
    format.orientation = orientation_of(format.display_matrix);
    REQUIRE(format.orientation == orientation);
    const std::string path = folder / (std::to_string(orientation) + ".mp4");
    write_test_clip(path, format, even_times(5, 1));
    const std::vector<RawFrame> stored = raw_frames(path);
    CHECK(stored[0].width == 64);
    CHECK(stored[0].height == 32);
    const VideoReader reader(path);
    CHECK(reader.format().orientation == orientation);
    if (orientation > 1) CHECK(reader.format().display_matrix == format.display_matrix);
    CHECK(reader.format().width == format.width);
    const Read all = read_all(path);
    for (int i = 0; i < 5; ++i) CHECK(psnr(all.images[i], test_picture(format.width, format.height, i)) > 30);
  }
}

TEST_CASE("A matrix that is no quarter turn passes through, with pictures as they are stored") {
  const TemporaryFolder folder;
  VideoFormat format = plain(64, 32);
  format.display_matrix = {64540, 11380, 0, -11380, 64540, 0, 0, 0, 1 << 30};  // 10 degrees
  format.has_display_matrix = true;
  write_test_clip(folder / "a.mp4", format, even_times(3, 1));
  const VideoReader reader(folder / "a.mp4");
  CHECK(reader.format().orientation == 1);
  CHECK(reader.format().display_matrix == format.display_matrix);
}

TEST_CASE("Odd sizes are kept") {
  const TemporaryFolder folder;
  for (const auto& [width, height] : {std::pair{33, 27}, {34, 27}, {33, 28}, {1, 1}, {17, 300}}) {
    CAPTURE(width, height);
    const std::string path = folder / (std::to_string(width) + "x" + std::to_string(height) + ".mp4");
    write_test_clip(path, plain(width, height), even_times(3, 1));
    const Read all = read_all(path);
    REQUIRE(all.images.size() == 3);
    CHECK(psnr(all.images[2], test_picture(width, height, 2)) > 28);
  }
}

TEST_CASE("Only the changed part goes through RGB") {
  const TemporaryFolder folder;
  VideoFormat format = plain(128, 96);
  for (const int orientation : {1, 6}) {
    CAPTURE(orientation);
    if (orientation == 6) {
      format.display_matrix = {0, 1 << 16, 0, -(1 << 16), 0, 0, 96 << 16, 0, 1 << 30};
      format.has_display_matrix = true;
      format.orientation = 6;
      std::swap(format.width, format.height);
    }
    write_test_clip(folder / "in.mp4", format, even_times(4, 1));
    ReaderOptions reading;
    reading.keep_native = true;
    VideoReader reader(folder / "in.mp4", reading);
    WriterOptions lossless;
    lossless.crf = 0;
    VideoWriter writer(folder / "out.mp4", reader.format(), lossless);
    const Rect changed{37, 41, 20, 10};
    VideoFrame frame;
    std::vector<Image> wanted;
    while (reader.next(frame)) {
      for (int y = changed.y; y < changed.y + changed.height; ++y)
        std::fill_n(frame.image.row(y) + 3 * changed.x, 3 * changed.width, uint8_t(200));
      wanted.push_back(frame.image);
      writer.write(frame, frame.index % 2 ? changed : Rect{});
    }
    writer.finish();

    const std::vector<RawFrame> before = raw_frames(folder / "in.mp4"), after = raw_frames(folder / "out.mp4");
    REQUIRE(after.size() == 4);
    CHECK(after[0].planes == before[0].planes);
    CHECK(after[2].planes == before[2].planes);
    const Rect stored = stored_rect(changed, format.orientation, 128, 96);
    int outside = 0;
    for (int y = 0; y < 96; ++y) {
      for (int x = 0; x < 128; ++x) {
        const bool near = x >= stored.x - 32 && x < stored.x + stored.width + 32 && y >= stored.y - 32 &&
                          y < stored.y + stored.height + 32;
        if (!near) outside += after[1].planes[0][y * 128 + x] != before[1].planes[0][y * 128 + x];
      }
    }
    CHECK(outside == 0);
    const Read all = read_all(folder / "out.mp4");
    CHECK(psnr(all.images[1], wanted[1]) > 36);
    CHECK(psnr(all.images[0], wanted[0]) < 30);
  }
}

TEST_CASE("Audio passes through packet by packet, also beyond the end of the video") {
  const TemporaryFolder folder;
  write_tone(folder / "tone.mp4", 2.5);
  for (const std::string name : {"a.mp4", "a.mov", "a.mkv"}) {
    CAPTURE(name);
    WriterOptions options;
    options.copy_from = folder / "tone.mp4";
    VideoWriter writer(folder / name, plain(32, 32), options);
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

TEST_CASE("MKV keeps times to its millisecond, and shows turned clips upright") {
  const TemporaryFolder folder;
  VideoFormat format = plain(32, 64);
  format.time_base = {1, 1000};
  format.display_matrix = {0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30};
  format.has_display_matrix = true;
  format.orientation = 6;
  const std::vector<int64_t> times = {0, 33, 67, 150, 151, 400, 433, 467, 500};
  write_test_clip(folder / "a.mkv", format, times);
  const Read all = read_all(folder / "a.mkv");
  CHECK(all.times == times);
  CHECK(psnr(all.images[3], test_picture(32, 64, 3)) > 30);
}

TEST_CASE("A clip that is cut short is read up to its end and says so") {
  const TemporaryFolder folder;
  for (const std::string kind : {".mp4", ".mkv"}) {
    CAPTURE(kind);
    write_test_clip(folder / ("a" + kind), plain(96, 96), even_times(120, 1));
    const std::string whole = read_file(folder / ("a" + kind));
    write_file(folder / ("cut" + kind), std::string_view(whole).substr(0, whole.size() * 6 / 10));
    const Read all = read_all(folder / ("cut" + kind));
    CHECK(all.images.size() > 10);
    CHECK(all.images.size() < 120);
    CHECK(all.damage.find("cut short after " + std::to_string(all.images.size())) == 0);
    for (size_t i = 1; i < all.images.size(); ++i) CHECK(all.times[i] > all.times[i - 1]);
    for (size_t i = 0; i + 8 < all.images.size(); ++i) CHECK(psnr(all.images[i], test_picture(96, 96, int(i))) > 30);
  }
}

TEST_CASE("Damage in the middle neither stops nor fools the reader") {
  const TemporaryFolder folder;
  write_test_clip(folder / "a.mp4", plain(96, 96), even_times(60, 1));
  std::string bytes = read_file(folder / "a.mp4");
  const size_t data = bytes.find("mdat");
  REQUIRE(data != bytes.npos);
  for (size_t i = data + 1500; i + 4000 < bytes.size(); i += 97) bytes[i] = char(bytes[i] ^ 0x5A);
  write_file(folder / "bad.mp4", bytes);
  const Read all = read_all(folder / "bad.mp4");
  CHECK_FALSE(all.damage.empty());
  for (size_t i = 1; i < all.times.size(); ++i) CHECK(all.times[i] > all.times[i - 1]);
}

TEST_CASE("Files that are no clips are named") {
  const TemporaryFolder folder;
  write_file(folder / "empty.mp4", "");
  write_file(folder / "text.mp4", "This is a text, and no clip, however long it may be.\n");
  write_file(folder / "noise.mp4", std::string(5000, '\xA7'));
  write_tone(folder / "tone.mp4", 0.2);
  write_test_clip(folder / "a.mp4", plain(32, 32), even_times(3, 1));
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
    VideoWriter writer(folder / "a.mp4", plain(32, 32));
    writer.write(test_picture(32, 32), 0);
  }
  CHECK(read_file(folder / "a.mp4") == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("The writer refuses what it cannot do") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(VideoWriter(folder / "a.avi", plain(32, 32)), UsageError);
  CHECK_THROWS_AS(VideoWriter(folder / "no/such/a.mp4", plain(32, 32)), Error);
  VideoWriter writer(folder / "a.mp4", plain(32, 32));
  CHECK_THROWS_AS(writer.write(test_picture(16, 32), 0), Error);
}
