// What a clip says of its pictures: colour, orientation, size; and what of them stays as it was.
#include <algorithm>
#include <catch2/catch.hpp>

#include "clips.h"
#include "media/orientation.h"
#include "media/video_reader.h"
#include "media/video_writer.h"

using namespace doppel;

TEST_CASE("Unknown colour tags stay unknown") {
  const TemporaryFolder folder;
  VideoFormat format = plain_format(32, 32);
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
    VideoFormat format = plain_format(32, 32);
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
    VideoFormat format = plain_format(swaps_sides(orientation) ? 32 : 64, swaps_sides(orientation) ? 64 : 32);
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
    const ReadClip all = read_all(path);
    for (int i = 0; i < 5; ++i) CHECK(psnr(all.images[i], test_picture(format.width, format.height, i)) > 30);
  }
}

TEST_CASE("A matrix that is no quarter turn passes through, with pictures as they are stored") {
  const TemporaryFolder folder;
  VideoFormat format = plain_format(64, 32);
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
    write_test_clip(path, plain_format(width, height), even_times(3, 1));
    const ReadClip all = read_all(path);
    REQUIRE(all.images.size() == 3);
    CHECK(psnr(all.images[2], test_picture(width, height, 2)) > 28);
  }
}

TEST_CASE("Only the changed part goes through RGB") {
  const TemporaryFolder folder;
  VideoFormat format = plain_format(128, 96);
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
    const ReadClip all = read_all(folder / "out.mp4");
    CHECK(psnr(all.images[1], wanted[1]) > 36);
    CHECK(psnr(all.images[0], wanted[0]) < 30);
  }
}
