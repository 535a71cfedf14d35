// Reads the pictures of a clip in the order they are shown.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "media/video_format.h"
#include "runtime/image.h"

namespace doppel {

struct NativeFrame;  // the decoder's own picture; libav's, and private to this room

struct VideoFrame {
  Image image;                                // upright RGB, format().width x format().height
  int64_t pts = 0;                            // ticks of format().time_base; grows strictly from frame to frame
  int64_t duration = 0;                       // ticks; 0 where the file does not say
  int64_t index = 0;                          // 0, 1, 2, ... of the frames that were yielded
  std::shared_ptr<const NativeFrame> native;  // what `image` was made from, for VideoWriter; may be null
};

struct ReaderOptions {
  int threads = 0;           // of the decoder; 0: one per core, at most 4
  bool keep_native = false;  // fill VideoFrame::native
};

class VideoReader {
 public:
  // Throws Error, naming the file and what to do, when it is missing, empty, no clip, or has no video stream.
  explicit VideoReader(const std::string& path, const ReaderOptions& options = {});
  ~VideoReader();
  VideoReader(const VideoReader&) = delete;
  VideoReader& operator=(const VideoReader&) = delete;

  const VideoFormat& format() const;
  int64_t frame_count() const;  // what the file promises or, failing that, duration times rate; 0: unknown
  double duration() const;      // seconds; 0: unknown
  bool variable_rate() const;   // the file's frames are not evenly spaced
  const std::string& path() const;

  // The next frame; false at the end. Damage does not throw: what can be decoded is yielded, then see damage().
  bool next(VideoFrame& frame);

  // Like next(), but without converting: frame.image stays as it was. To skip frames cheaply.
  bool skip(VideoFrame& frame);

  // Empty when the clip was whole; else one line that says what is wrong, such as "cut short after 112 of 300 frames".
  // Complete once next() returned false.
  std::string damage() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace doppel
