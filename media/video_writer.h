// Writes H.264 into .mp4, .m4v, .mov or .mkv: a file that is whole, marked synthetic, or not there.
#pragma once

#include <memory>
#include <string>

#include "media/provenance.h"
#include "media/video_format.h"
#include "media/video_reader.h"
#include "runtime/image.h"

namespace doppel {

struct WriterOptions {
  int crf = 16;                     // x264's quality: lower is better, 0..51; 16 is hard to tell from its source
  std::string preset = "veryfast";  // x264's name for how long it thinks
  int threads = 0;                  // 0: one per core, at most 4
  SourceType mark = SourceType::composite;
  std::string
      copy_from;  // a clip whose audio (and subtitles, metadata) is passed through packet by packet; "" for none
};

class VideoWriter {
 public:
  // Creates "<path>.new-<pid>". Throws UsageError for an extension that is none of the above; Error when the file
  // cannot be created, or when copy_from has an audio codec that this kind of file cannot hold.
  VideoWriter(const std::string& path, const VideoFormat& format, const WriterOptions& options = {});
  // An unfinished clip is removed; nothing appears under `path`.
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  // `image` is upright, format.width x format.height. pts must grow from call to call; both in ticks of
  // format.time_base. Throws Error when the disk is full.
  void write(ConstImageView image, int64_t pts, int64_t duration = 1);

  // Like the above, but only `changed` (upright coordinates) is recoded from frame.image where the decoded planes are
  // at hand: every other pixel goes to the encoder as it came from the decoder, without a trip through RGB. An empty
  // `changed` takes the frame as it was decoded.
  void write(const VideoFrame& frame, const Rect& changed);

  // Flushes, copies what is left of the audio, writes the mark, syncs and renames. Throws Error.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace doppel
