// What the media tests share: a folder that goes away, pictures and sound to put in clips, and an independent look at
// what is in a file, by libav alone.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "media/video_format.h"
#include "runtime/image.h"

namespace doppel {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Smooth, different in every corner and from `index` to index, so that a turned, mirrored or repeated picture shows.
Image test_picture(int width, int height, int index = 0);
Image flat_picture(int width, int height, int red, int green, int blue);

// 10 log10(255^2 / mean squared difference); 99 for equal pictures, -1 for different sizes.
double psnr(const Image& a, const Image& b);

// 30 frames a second.
VideoFormat plain_format(int width, int height);
// 0, step, 2 step..
std::vector<int64_t> even_times(int frames, int64_t step);

// A clip of test_picture(i) at the given times.
void write_test_clip(const std::string& path, const VideoFormat& format, const std::vector<int64_t>& times);

// An AAC tone alone in an .mp4.
void write_tone(const std::string& path, double seconds);

// All that a VideoReader gives.
struct ReadClip {
  std::vector<Image> images;
  std::vector<int64_t> times, durations;
  std::string damage;
};
ReadClip read_all(const std::string& path);

struct RawPacket {
  double time;
  std::string bytes;
};
// The packets of the first stream of the kind ('a'udio or 'v'ideo).
std::vector<RawPacket> packets_of(const std::string& path, char kind);

struct RawFrame {
  int width, height, format;
  std::array<std::string, 3> planes;  // without padding
};
// Decoded by libav, not converted.
std::vector<RawFrame> raw_frames(const std::string& path);

std::string message_of(const std::function<void()>& action);  // of the doppel::Error it throws; "" when it does not

}  // namespace doppel
