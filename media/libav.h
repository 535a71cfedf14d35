// What this room's files share of FFmpeg's libraries: owners, errors, the log, colour conversion. Private to the room.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>
#include <vector>

#include "media/video_format.h"
#include "runtime/image.h"

namespace doppel {

struct LibavDeleter {
  void operator()(AVFormatContext* p) const { avformat_close_input(&p); }
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
};
using InputPtr = std::unique_ptr<AVFormatContext, LibavDeleter>;
using CodecPtr = std::unique_ptr<AVCodecContext, LibavDeleter>;
using FramePtr = std::unique_ptr<AVFrame, LibavDeleter>;
using PacketPtr = std::unique_ptr<AVPacket, LibavDeleter>;
using SwsPtr = std::unique_ptr<SwsContext, LibavDeleter>;

struct NativeFrame {
  FramePtr frame;
};

FramePtr new_frame();
PacketPtr new_packet();

// libav's words for an error code.
std::string libav_error(int code);

// libav prints nothing from here on; its last error message is kept for last_libav_message(). Every entry into libav
// goes through a function that has called this.
void quiet_libav();
// The last error that libav logged since the last clear, as one line; "" if none.
std::string last_libav_message();
void clear_libav_message();

// Opens a clip by content, never as a URL, a playlist or plain text, and finds its streams. Throws Error naming it.
InputPtr open_input(const std::string& path);

// The length in bytes that a Matroska, WebM or AVI file gives of itself; -1 where it does not.
int64_t promised_size(const std::string& path);

inline Rational to_rational(AVRational r) {
  return {r.num, r.den};
}
inline AVRational to_av(Rational r) {
  return {r.num, r.den};
}

// Threads for a codec where the caller asked for `wanted` (0: one per core, at most 4).
int codec_threads(int wanted);

// 4:2:0, 4:2:2 or 4:4:4, 8 bits, as a decoder names it, without the deprecated full-range twins.
AVPixelFormat plain_format(int format);

// Stored pictures between the planes of a codec and RGB. Keeps its tables from frame to frame.
class ColorConverter {
 public:
  // `color` fills what the frames do not say; where neither says, BT.709 above 576 lines, BT.601 up to it.
  explicit ColorConverter(const ColorTags& color) : color_(color) {}

  // Any format and size; rgb must be upright of orientation and of the format's shown size.
  void to_rgb(const AVFrame& from, int orientation, int stored_width, int stored_height, ImageView rgb);

  // Writes the part `at` of the planes (8-bit 4:2:0, 4:2:2 or 4:4:4) from `rgb`, which has the size of `at`. With
  // subsampled chroma `at` must start and end on even pixels, or on the picture's edge.
  void to_planes(ConstImageView rgb, const Rect& at, AVFrame& to);

 private:
  void set_colors(SwsContext* context, int height, int yuv_range, bool to_rgb);

  ColorTags color_;
  SwsPtr decode_, encode_;
  std::vector<uint8_t> scratch_;  // padded rows: swscale's fast paths may run past the end of a tight row
};

}  // namespace doppel
