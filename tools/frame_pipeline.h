// Frames through the stages of a swap, each a thread with a bounded queue before it:
//
//   decode -> find (detect, track) -> align, crop, net in batches -> colour, mask, paste -> encode
//
// Each stage is one thread, so that order is kept without numbering. Nothing touches the disk between reader and
// writer.
#pragma once

#include <cstdint>
#include <functional>

#include "faces/paste.h"
#include "faces/track.h"
#include "media/video_format.h"
#include "media/video_reader.h"
#include "runtime/image.h"

namespace doppel {

// The network as a swap sees it. Calls come from one thread at a time.
struct FaceNet {
  int input_size = 0;   // S
  int output_size = 0;  // T
  int max_batch = 1;
  float coverage = 0;      // side of its square, in the units of faces/align.h
  bool face_only = false;  // it wants faces with nothing around them
  // in [n, S, S, 3], out [n, T, T, 3], RGB 0..1, 1 <= n <= max_batch
  std::function<void(const float* in, int n, float* out)> run;
};

struct SwapOptions {
  TrackerOptions tracker;
  PasteOptions paste;
};

// The frames of a swap so far.
struct SwapCounts {
  int64_t frames = 0;
  int64_t with_face = 0;
  int64_t faces = 0;  // all of them, with SwapOptions::tracker.all_faces
  int64_t without_face() const { return frames - with_face; }
};

// What the last stage gets: the finished frame and which part of it is new (empty: none).
using TakeFrame = std::function<void(const VideoFrame& frame, const Rect& changed, const SwapCounts& counts)>;

// Runs the reader to its end; take() is called in the calling thread, in the order of the frames. What a stage throws
// ends all of them and is thrown here; so is Interrupted, with frames in the queues given up. Damage of the clip does
// not throw: see VideoReader::damage() afterwards.
SwapCounts swap_frames(VideoReader& reader, const FaceNet& net, const SwapOptions& options, const TakeFrame& take);

// The same for one picture, in the calling thread. Returns the faces swapped.
int swap_picture(Image& picture, const FaceNet& net, const SwapOptions& options);

}  // namespace doppel
