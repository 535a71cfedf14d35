#include "tools/compare.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "faces/mask.h"
#include "faces/track.h"
#include "media/video_reader.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"
#include "tools/progress.h"

namespace doppel {
namespace {

// 1 inside the hull of the landmarks, 0 outside: [height, width].
std::vector<uint8_t> face_region(const Landmarks& landmarks, int width, int height) {
  float x0 = landmarks[0].x, x1 = x0, y0 = landmarks[0].y, y1 = y0;
  for (const Point& p : landmarks) {
    x0 = std::min(x0, p.x), x1 = std::max(x1, p.x), y0 = std::min(y0, p.y), y1 = std::max(y1, p.y);
  }
  // A square with room around the hull, at the frame's own scale and on its pixels.
  const int side = int(std::ceil(1.25f * std::max(x1 - x0, y1 - y0))) + 8;
  const int left = int(std::lround(0.5f * (x0 + x1))) - side / 2, top = int(std::lround(0.5f * (y0 + y1))) - side / 2;
  Landmarks inside = landmarks;
  for (Point& p : inside) p = {p.x - float(left), p.y - float(top)};
  MaskOptions options;
  options.forehead = 0;
  options.erode = 0;
  options.feather = 1e-3f;
  std::vector<float> mask(size_t(side) * side);
  face_mask(inside, side, options, mask.data());
  std::vector<uint8_t> region(size_t(width) * height);
  for (int y = std::max(0, top); y < std::min(height, top + side); ++y) {
    for (int x = std::max(0, left); x < std::min(width, left + side); ++x) {
      region[size_t(y) * width + x] = mask[size_t(y - top) * side + (x - left)] > 0.5f;
    }
  }
  return region;
}

bool same_size(const VideoReader& a, const VideoReader& b) {
  return a.format().width == b.format().width && a.format().height == b.format().height;
}

// All three have a frame (true) or all are at their end (false).
bool next_of_all(VideoReader* const (&readers)[3], VideoFrame (&frames)[3]) {
  bool more[3];
  for (int i = 0; i < 3; ++i) more[i] = readers[i]->next(frames[i]);
  for (int i = 0; i < 3; ++i) {
    if (const std::string damage = readers[i]->damage(); !more[i] && !damage.empty()) {
      throw Error(readers[i]->path() + ": " + damage + "; cannot compare");
    }
    if (more[i] != more[0]) {
      throw Error(readers[i]->path() + " and " + readers[0]->path() + " have different numbers of frames");
    }
  }
  return more[0];
}

}  // namespace

Comparison compare_clips(const std::string& input, const std::string& swap, const std::string& truth,
                         const SeeFrame& see) {
  VideoReader input_reader(input), swap_reader(swap), truth_reader(truth);
  for (const VideoReader* reader : {&swap_reader, &truth_reader}) {
    if (!same_size(input_reader, *reader)) throw Error(reader->path() + " and " + input + " differ in size");
  }
  VideoReader* const readers[3] = {&input_reader, &swap_reader, &truth_reader};
  VideoFrame frames[3];
  Tracker tracker;
  Comparison result;
  Progress progress("compare", truth_reader.frame_count(), "frames");
  while (next_of_all(readers, frames)) {
    if (interrupted()) throw Interrupted("stopped while comparing; the same command goes on from here");
    const Image& perfect = frames[2].image;
    const auto faces = tracker.next(perfect, double(frames[2].pts) * truth_reader.format().time_base.value());
    if (faces.empty()) {
      ++result.without_face;
    } else {
      const auto region = face_region(faces[0].face.landmarks, perfect.width(), perfect.height());
      result.swap.add(compare_pictures(frames[1].image, perfect, region.data()));
      result.unswapped.add(compare_pictures(frames[0].image, perfect, region.data()));
    }
    if (see) see(result.frames, frames[0].image, frames[1].image, perfect);
    progress.update(++result.frames);
  }
  progress.finish(result.frames);
  if (result.swap.pixels == 0) throw Error(truth + ": no face in any frame; there is nothing to compare");
  return result;
}

std::string comparison_table(const Comparison& comparison) {
  char text[512];
  const auto row = [](char* out, size_t size, const char* name, const PictureError& e) {
    return std::snprintf(out, size, "  %-10s %9.2f dB %9.2f dB %10.4f\n", name, e.psnr_rgb(), e.psnr_luma(),
                         e.mean_ssim());
  };
  int used = std::snprintf(text, sizeof text,
                           "inside the face, against the truth: %lld frames, %lld of them without a face\n"
                           "  %-10s %12s %12s %10s\n",
                           (long long)comparison.frames, (long long)comparison.without_face, "", "PSNR RGB",
                           "PSNR luma", "SSIM luma");
  used += row(text + used, sizeof text - size_t(used), "swap", comparison.swap);
  row(text + used, sizeof text - size_t(used), "unswapped", comparison.unswapped);
  return text;
}

}  // namespace doppel
