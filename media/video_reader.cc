#include "media/video_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "media/libav.h"
#include "media/orientation.h"
#include "runtime/error.h"

namespace doppel {
namespace {

// An end this much before the length that the header gives counts as cut short, where nothing tells exactly.
constexpr double kMissingSeconds = 0.5;

Chroma chroma_of(int format) {
  const AVPixFmtDescriptor* d = av_pix_fmt_desc_get(AVPixelFormat(format));
  if (!d || d->nb_components < 3 || (d->flags & AV_PIX_FMT_FLAG_RGB)) return Chroma::k420;
  if (d->log2_chroma_w == 0 && d->log2_chroma_h == 0) return Chroma::k444;
  return d->log2_chroma_w == 1 && d->log2_chroma_h == 0 ? Chroma::k422 : Chroma::k420;
}

VideoFormat format_of(const AVStream& stream) {
  const AVCodecParameters& codec = *stream.codecpar;
  VideoFormat format;
  size_t bytes = 0;
  const uint8_t* matrix = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &bytes);
  if (matrix && bytes >= sizeof(int32_t) * 9) {
    std::memcpy(format.display_matrix.data(), matrix, sizeof(int32_t) * 9);
    format.has_display_matrix = true;
    format.orientation = orientation_of(format.display_matrix);
  }
  const bool swapped = swaps_sides(format.orientation);
  format.width = swapped ? codec.height : codec.width;
  format.height = swapped ? codec.width : codec.height;
  const AVRational aspect = stream.sample_aspect_ratio.num ? stream.sample_aspect_ratio : codec.sample_aspect_ratio;
  format.sample_aspect = to_rational(aspect);
  format.time_base = to_rational(stream.time_base);
  AVRational rate = stream.avg_frame_rate;
  if (rate.num <= 0 || rate.den <= 0) rate = stream.r_frame_rate;
  if (rate.num <= 0 || rate.den <= 0) rate = {30, 1};
  format.average_rate = to_rational(rate);
  format.chroma = chroma_of(codec.format);
  format.color = {codec.color_range, codec.color_primaries, codec.color_trc, codec.color_space, codec.chroma_location};
  if (format.color.matrix == AVCOL_SPC_RGB) format.color.matrix = AVCOL_SPC_BT709;  // no YUV: ours is written as BT.709
  if (plain_format(codec.format) != codec.format) format.color.range = AVCOL_RANGE_JPEG;
  return format;
}

}  // namespace

struct VideoReader::State {
  std::string path;
  ReaderOptions options;
  InputPtr input;
  CodecPtr decoder;
  AVStream* stream = nullptr;
  VideoFormat format;
  std::unique_ptr<ColorConverter> converter;
  PacketPtr packet = new_packet();
  FramePtr frame = new_frame();  // the one that is yielded
  FramePtr ahead = new_frame();  // the one after it: its time is the end of the frame before
  int64_t frame_pts = 0, ahead_pts = 0;
  bool have_ahead = false, started = false;

  int64_t promised_packets = 0;  // by an exact index; 0: there is none
  int64_t seen_packets = 0, seen_frames = 0;
  int64_t lost_frames = 0, bad_frames = 0;  // not decoded; decoded with errors
  int64_t last_pts = AV_NOPTS_VALUE;
  double last_second = 0;  // the end of the latest packet of any stream
  bool at_end = false, cut_short = false;
  std::string read_error;

  void feed();
  void end_of_file(int code);
  bool decode_ahead();
  int64_t usual_duration() const;
  int64_t last_duration() const;
  bool advance(VideoFrame& out, bool convert);
};

VideoReader::VideoReader(const std::string& path, const ReaderOptions& options) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.path = path;
  s.options = options;
  s.input = open_input(path);
  const AVCodec* codec = nullptr;
  const int index = av_find_best_stream(s.input.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  if (index == AVERROR_DECODER_NOT_FOUND)
    throw Error(path + ": no decoder for its kind of video; convert it to H.264 first");
  if (index < 0 || (s.input->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC))
    throw Error(path + ": has no video in it; give a clip with pictures");
  s.stream = s.input->streams[index];
  const AVCodecParameters& parameters = *s.stream->codecpar;
  if (parameters.width <= 0 || parameters.height <= 0 || parameters.format < 0)
    throw Error(path + ": no picture of its video can be decoded; the file is damaged or cut short");
  s.decoder.reset(avcodec_alloc_context3(codec));
  if (!s.decoder || avcodec_parameters_to_context(s.decoder.get(), &parameters) < 0) throw std::bad_alloc();
  s.decoder->thread_count = codec_threads(options.threads);
  s.decoder->pkt_timebase = s.stream->time_base;
  const int opened = avcodec_open2(s.decoder.get(), codec, nullptr);
  if (opened < 0) throw Error(path + ": its video cannot be decoded: " + libav_error(opened) + "; convert it to H.264");
  s.format = format_of(*s.stream);
  s.converter = std::make_unique<ColorConverter>(s.format.color);
  if (std::strstr(s.input->iformat->name, "mov")) {
    // This demuxer reads by an index that is complete before the first packet, and need not read the other streams.
    s.promised_packets = avformat_index_get_entries_count(s.stream);
    for (unsigned i = 0; i < s.input->nb_streams; ++i) {
      if (s.input->streams[i] != s.stream) s.input->streams[i]->discard = AVDISCARD_ALL;
    }
  }
}

VideoReader::~VideoReader() = default;

const VideoFormat& VideoReader::format() const {
  return state_->format;
}

const std::string& VideoReader::path() const {
  return state_->path;
}

double VideoReader::duration() const {
  const State& s = *state_;
  if (s.stream->duration > 0) return double(s.stream->duration) * av_q2d(s.stream->time_base);
  return s.input->duration > 0 ? double(s.input->duration) / AV_TIME_BASE : 0.0;
}

int64_t VideoReader::frame_count() const {
  const State& s = *state_;
  if (s.promised_packets > 0) return s.promised_packets;
  if (s.stream->nb_frames > 0) return s.stream->nb_frames;
  return int64_t(std::llround(duration() * s.format.average_rate.value()));
}

bool VideoReader::variable_rate() const {
  // r_frame_rate is the lowest rate whose ticks hit every timestamp: it is above the average where frames are left out.
  const double average = av_q2d(state_->stream->avg_frame_rate), ticks = av_q2d(state_->stream->r_frame_rate);
  return average > 0 && ticks > 0 && std::abs(average - ticks) > 0.01 * ticks;
}

// The demuxer has no more: was that the end?
void VideoReader::State::end_of_file(int code) {
  at_end = true;
  if (code != AVERROR_EOF) read_error = libav_error(code);
  const int64_t bytes = promised_size(path);
  if (promised_packets > 0) {
    cut_short = cut_short || seen_packets < promised_packets;
  } else if (bytes > 0) {
    std::error_code failed;
    cut_short = cut_short || int64_t(std::filesystem::file_size(path, failed)) < bytes;
  } else if (input->duration > 0 && input->duration_estimation_method == AVFMT_DURATION_FROM_STREAM) {
    const double start = input->start_time != AV_NOPTS_VALUE ? double(input->start_time) / AV_TIME_BASE : 0.0;
    cut_short = cut_short || last_second - start + kMissingSeconds < double(input->duration) / AV_TIME_BASE;
  }
  avcodec_send_packet(decoder.get(), nullptr);
}

// One more packet for the decoder, or the end.
void VideoReader::State::feed() {
  for (;;) {
    av_packet_unref(packet.get());
    const int read = av_read_frame(input.get(), packet.get());
    if (read < 0) return end_of_file(read);
    const AVStream& from = *input->streams[packet->stream_index];
    if (packet->pts != AV_NOPTS_VALUE)
      last_second = std::max(last_second, double(packet->pts + packet->duration) * av_q2d(from.time_base));
    if (packet->stream_index != stream->index) continue;
    if (packet->flags & AV_PKT_FLAG_CORRUPT) {  // half a packet: the file ends in it, or it lost something on its way
      cut_short = true;
      continue;
    }
    ++seen_packets;
    const int sent = avcodec_send_packet(decoder.get(), packet.get());
    if (sent < 0) {
      ++lost_frames;
      continue;
    }
    return;
  }
}

// The next picture into `ahead`.
bool VideoReader::State::decode_ahead() {
  for (;;) {
    const int got = avcodec_receive_frame(decoder.get(), ahead.get());
    if (got == AVERROR_EOF) return false;
    if (got == AVERROR(EAGAIN)) {
      if (at_end) return false;
      feed();
      continue;
    }
    if (got == 0) break;
    ++lost_frames;  // decoder threads report a bad packet here; the next call goes on behind it
  }
  if (ahead->decode_error_flags || (ahead->flags & AV_FRAME_FLAG_CORRUPT)) ++bad_frames;
  ahead_pts = ahead->best_effort_timestamp;
  if (ahead_pts == AV_NOPTS_VALUE) ahead_pts = last_pts == AV_NOPTS_VALUE ? 0 : last_pts + usual_duration();
  if (last_pts != AV_NOPTS_VALUE)
    ahead_pts = std::max(ahead_pts, last_pts + 1);  // a broken clock must not run backwards
  last_pts = ahead_pts;
  return true;
}

int64_t VideoReader::State::usual_duration() const {
  return std::max<int64_t>(1, av_rescale_q(1, av_inv_q(to_av(format.average_rate)), stream->time_base));
}

// How long the clip's last frame is shown: to the end that the file gives, if that can be believed.
int64_t VideoReader::State::last_duration() const {
  if (stream->duration > 0 && !cut_short) {
    const int64_t start = stream->start_time != AV_NOPTS_VALUE ? stream->start_time : 0;
    if (start + stream->duration > frame_pts) return start + stream->duration - frame_pts;
  }
  if (stream->duration <= 0 && input->duration > 0 && input->nb_streams == 1 && !cut_short) {
    const int64_t start = input->start_time != AV_NOPTS_VALUE ? input->start_time : 0;
    const int64_t end = av_rescale_q(start + input->duration, {1, AV_TIME_BASE}, stream->time_base);
    if (end > frame_pts) return end - frame_pts;
  }
  return frame->pkt_duration > 0 ? frame->pkt_duration : usual_duration();
}

bool VideoReader::State::advance(VideoFrame& out, bool convert) {
  if (!started) have_ahead = decode_ahead();
  started = true;
  if (!have_ahead) return false;
  av_frame_unref(frame.get());
  av_frame_move_ref(frame.get(), ahead.get());
  frame_pts = ahead_pts;
  have_ahead = decode_ahead();
  out.pts = frame_pts;
  out.duration = have_ahead ? ahead_pts - frame_pts : last_duration();
  out.index = seen_frames++;
  out.native.reset();
  if (!convert) return true;
  if (out.image.width() != format.width || out.image.height() != format.height)
    out.image = Image(format.width, format.height);
  const AVCodecParameters& codec = *stream->codecpar;
  converter->to_rgb(*frame, format.orientation, codec.width, codec.height, out.image);
  if (options.keep_native) {
    auto native = std::make_shared<NativeFrame>();
    native->frame = new_frame();
    av_frame_move_ref(native->frame.get(), frame.get());
    out.native = std::move(native);
  }
  return true;
}

bool VideoReader::next(VideoFrame& frame) {
  return state_->advance(frame, true);
}

bool VideoReader::skip(VideoFrame& frame) {
  return state_->advance(frame, false);
}

std::string VideoReader::damage() const {
  const State& s = *state_;
  const std::string frames = std::to_string(s.seen_frames);
  if (s.cut_short) {
    const int64_t promised = frame_count();
    return "cut short after " + frames + (promised > s.seen_frames ? " of " + std::to_string(promised) : "") +
           " frames";
  }
  if (!s.read_error.empty()) return "reading failed after " + frames + " frames: " + s.read_error;
  if (s.lost_frames + s.bad_frames > 0)
    return "damaged: " + std::to_string(s.lost_frames + s.bad_frames) + " frames were lost or decoded with errors";
  if (s.at_end && s.seen_frames == 0) return "holds no frame that can be decoded";
  return "";
}

}  // namespace doppel
