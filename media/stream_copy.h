// Passes the audio and subtitles of one file into another, packet by packet. Private to the room.
#pragma once

#include <string>
#include <vector>

#include "media/libav.h"

namespace doppel {

class StreamCopy {
 public:
  // Adds a stream to `output` for each audio stream of the file and each subtitle stream that `output` can hold, and
  // takes over the file's descriptive metadata. Throws Error for audio that `output` cannot hold. `output` must outlive
  // this object; `output_name` is what errors call it.
  StreamCopy(const std::string& path, AVFormatContext* output, const std::string& output_name);

  // Language, title and the like of the file's video stream.
  const AVDictionary* video_metadata() const;

  // Writes every packet whose time is at most `seconds`. Throws Error (disk full).
  void until(double seconds);
  void rest();

 private:
  bool read();
  void mend_last_duration(const AVStream& from);

  std::string output_name_;
  AVFormatContext* output_;
  InputPtr input_;
  std::vector<int> target_;        // of each stream of input_: its index in output_, or -1
  std::vector<int64_t> last_dts_;  // of each stream of output_, in its time base
  PacketPtr packet_ = new_packet();
  bool waiting_ = false;  // packet_ was read and not yet written
  bool any_ = false, done_ = false;
};

}  // namespace doppel
