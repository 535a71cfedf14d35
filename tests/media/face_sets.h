// What the tests of face sets share: a small set, and its files.
#pragma once

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "clips.h"
#include "media/face_set.h"
#include "runtime/image.h"

namespace doppel::testing {

constexpr int kSize = 32;
constexpr FaceSetHeader kHeader{kSize, 2.1f};

inline Image crop(int shade) {
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

inline FaceRecord record(int frame) {
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

inline FaceSource source(const std::string& name, int frames, int faces, bool done) {
  return {name, "key of " + name, frames, faces, frames - faces, done};
}

// Two sources, five faces, finished.
inline void make_set(const std::string& path) {
  FaceSetWriter writer(path, kHeader);
  for (int i = 0; i < 3; ++i) writer.append(record(i), crop(40 * i));
  writer.note_source(source("a.mp4", 4, 3, true));
  for (int i = 3; i < 5; ++i) writer.append(record(i), crop(40 * i));
  writer.note_source(source("b.mp4", 2, 2, true));
  writer.finish();
}

// Not synced, unlike write_file(): some tests write thousands of damaged manifests.
inline void put(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::vector<uint8_t> pixels_of(const FaceSet& set) {
  std::vector<uint8_t> pixels(set.pixel_bytes());
  set.load_pixels(pixels.data());
  return pixels;
}

// Lines of the manifest.
inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  return lines;
}

}  // namespace doppel::testing
