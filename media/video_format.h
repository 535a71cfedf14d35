// What a video is, apart from its pictures: sizes, clocks, colour tags, orientation. Plain data, no library's types.
#pragma once

#include <array>
#include <cstdint>

namespace doppel {

struct Rational {
  int num = 0;
  int den = 1;
  double value() const { return den == 0 ? 0.0 : double(num) / den; }
};

// Numbers of ITU-T H.273 (ISO/IEC 23091-2); 2 means "unspecified". Range: 0 unspecified, 1 limited (16..235), 2 full.
struct ColorTags {
  int range = 0;
  int primaries = 2;
  int transfer = 2;
  int matrix = 2;
  int chroma_location = 0;  // 0 unspecified, 1 left, 2 centre, ... as libav numbers them
};

// How chroma is stored.
enum class Chroma { k420, k422, k444 };

struct VideoFormat {
  int width = 0;  // of the pictures as a player shows them: upright, after the display matrix
  int height = 0;
  int orientation = 1;                    // EXIF number 1..8 of the stored pictures; 1: stored as shown
  std::array<int32_t, 9> display_matrix;  // 16.16 and 2.30 fixed point, as in the file; only if has_display_matrix
  bool has_display_matrix = false;
  Rational sample_aspect{0, 1};  // of the stored pictures; 0: unknown
  Rational time_base{1, 30};     // seconds per tick of every pts and duration
  Rational average_rate{30, 1};  // frames per second
  ColorTags color;
  Chroma chroma = Chroma::k420;

  // A clip of upright pictures at a fixed whole rate; BT.709, limited range. pts count frames: 0, 1, 2, ...
  static VideoFormat simple(int width, int height, int frames_per_second) {
    VideoFormat format;
    format.width = width;
    format.height = height;
    format.time_base = {1, frames_per_second};
    format.average_rate = {frames_per_second, 1};
    format.color = {1, 1, 1, 1, 1};
    return format;
  }

  VideoFormat() { display_matrix.fill(0); }
};

struct Rect {
  int x = 0, y = 0, width = 0, height = 0;
  bool empty() const { return width <= 0 || height <= 0; }
};

}  // namespace doppel
