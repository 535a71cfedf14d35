#include "media/video_writer.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <new>

#include "media/libav.h"
#include "media/orientation.h"
#include "media/picture.h"
#include "media/stream_copy.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

namespace doppel {
namespace {

struct OutputDeleter {
  void operator()(AVFormatContext* p) const {
    if (p->pb) avio_closep(&p->pb);
    avformat_free_context(p);
  }
};

const char* muxer_of(const std::string& path) {
  const std::string extension = extension_of(path);
  if (extension == ".mp4" || extension == ".m4v") return "mp4";
  if (extension == ".mov") return "mov";
  if (extension == ".mkv") return "matroska";
  throw UsageError(path + ": clips are written as .mp4, .m4v, .mov or .mkv; choose one of these names");
}

// As the source stores chroma, where x264 can: halved chroma needs even sides, and the size must not change.
AVPixelFormat stored_as(Chroma chroma, int width, int height) {
  if (chroma == Chroma::k444 || width % 2) return AV_PIX_FMT_YUV444P;
  if (chroma == Chroma::k422) return AV_PIX_FMT_YUV422P;
  return height % 2 ? AV_PIX_FMT_YUV444P : AV_PIX_FMT_YUV420P;
}

}  // namespace

struct VideoWriter::State {
  std::string path;
  VideoFormat format;
  int width = 0, height = 0;  // stored
  WriterOptions options;
  std::string muxer;
  std::unique_ptr<AtomicFile> file;
  std::unique_ptr<AVFormatContext, OutputDeleter> output;
  CodecPtr encoder;
  AVStream* stream = nullptr;
  std::unique_ptr<StreamCopy> others;
  std::unique_ptr<ColorConverter> converter;
  PacketPtr packet = new_packet();
  std::map<int64_t, int64_t> durations;  // by pts, of the frames inside the encoder, which forgets them
  bool finished = false;

  void check(int code, const char* what) const {
    if (code < 0) throw Error(path + ": " + what + " failed: " + libav_error(code) + "; nothing was kept");
  }
  void open_encoder();
  void open_output();
  void encode(AVFrame* frame);
  void remember(int64_t pts, int64_t duration);
  FramePtr blank_frame() const;
  void draw(ConstImageView image, const Rect& shown, AVFrame& frame);
};

VideoWriter::VideoWriter(const std::string& path, const VideoFormat& format, const WriterOptions& options)
    : state_(std::make_unique<State>()) {
  quiet_libav();
  State& s = *state_;
  s.path = path;
  s.format = format;
  s.options = options;
  s.muxer = muxer_of(path);
  if (format.width < 1 || format.height < 1) throw Error(path + ": a clip needs pictures of at least 1x1 pixels");
  if (s.muxer == "matroska" && format.orientation != 1) {
    // This muxer has no place for a display matrix: the pictures are stored as they are shown.
    if (swaps_sides(format.orientation)) std::swap(s.format.sample_aspect.num, s.format.sample_aspect.den);
    if (s.format.sample_aspect.den == 0) s.format.sample_aspect = {0, 1};
    s.format.orientation = 1;
    s.format.has_display_matrix = false;
  }
  const bool swapped = swaps_sides(s.format.orientation);
  s.width = swapped ? format.height : format.width;
  s.height = swapped ? format.width : format.height;
  s.converter = std::make_unique<ColorConverter>(format.color);
  s.file = std::make_unique<AtomicFile>(path);
  s.open_encoder();
  s.open_output();
}

VideoWriter::~VideoWriter() = default;

void VideoWriter::State::open_encoder() {
  const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
  if (!codec) throw Error(path + ": this FFmpeg has no libx264; install the one from Debian");
  encoder.reset(avcodec_alloc_context3(codec));
  if (!encoder) throw std::bad_alloc();
  AVCodecContext& e = *encoder;
  e.width = width;
  e.height = height;
  e.pix_fmt = stored_as(format.chroma, width, height);
  e.time_base = to_av(format.time_base);
  e.framerate = to_av(format.average_rate);
  e.sample_aspect_ratio = to_av(format.sample_aspect);
  e.color_range = AVColorRange(format.color.range);
  e.color_primaries = AVColorPrimaries(format.color.primaries);
  e.color_trc = AVColorTransferCharacteristic(format.color.transfer);
  e.colorspace = AVColorSpace(format.color.matrix);
  e.chroma_sample_location = AVChromaLocation(format.color.chroma_location);
  e.thread_count = codec_threads(options.threads);
  e.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  AVDictionary* settings = nullptr;
  av_dict_set(&settings, "preset", options.preset.c_str(), 0);
  av_dict_set_int(&settings, "crf", options.crf, 0);
  // Frames are coded in the order they are shown: with reordering, MP4 loses the length of the last frame, and MKV has
  // to shift every timestamp. It costs a tenth of the size.
  av_dict_set_int(&settings, "bf", 0, 0);
  clear_libav_message();
  const int opened = avcodec_open2(&e, codec, &settings);
  av_dict_free(&settings);
  if (opened < 0) {
    const std::string said = last_libav_message();
    throw Error(path + ": the H.264 encoder refused " + std::to_string(width) + "x" + std::to_string(height) + ": " +
                (said.empty() ? libav_error(opened) : said));
  }
}

void VideoWriter::State::open_output() {
  const std::string url = "file:" + file->release_to_writer();
  AVFormatContext* raw = nullptr;
  check(avformat_alloc_output_context2(&raw, nullptr, muxer.c_str(), url.c_str()), "starting the file");
  output.reset(raw);
  stream = avformat_new_stream(raw, nullptr);
  if (!stream) throw std::bad_alloc();
  check(avcodec_parameters_from_context(stream->codecpar, encoder.get()), "describing the video");
  stream->time_base = encoder->time_base;
  stream->avg_frame_rate = encoder->framerate;
  stream->sample_aspect_ratio = encoder->sample_aspect_ratio;
  if (format.has_display_matrix) {
    const size_t bytes = sizeof(int32_t) * format.display_matrix.size();
    uint8_t* matrix = av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, bytes);
    if (!matrix) throw std::bad_alloc();
    std::memcpy(matrix, format.display_matrix.data(), bytes);
  }
  if (!options.copy_from.empty()) {
    others = std::make_unique<StreamCopy>(options.copy_from, raw, path);
    av_dict_copy(&stream->metadata, others->video_metadata(), AV_DICT_DONT_OVERWRITE);
    av_dict_set(&stream->metadata, "encoder", nullptr, 0);
  }
  AVDictionary* settings = nullptr;
  if (muxer == "matroska") {
    av_dict_set(&raw->metadata, "DIGITAL_SOURCE_TYPE", digital_source_type(options.mark).c_str(), 0);
    av_dict_set(&raw->metadata, "CREATOR_TOOL", creator_tool().c_str(), 0);
    av_dict_set(&raw->metadata, "XMP", xmp_packet(options.mark).c_str(), 0);
  } else {
    // The index goes to the front, so that a browser can start before it has everything. A colour box without colours
    // would turn "unknown range" into "limited range".
    const bool tagged = format.color.primaries != 2 || format.color.transfer != 2 || format.color.matrix != 2;
    const Rational tick = format.time_base;
    if (tick.num == 1 && tick.den >= 600) av_dict_set_int(&settings, "video_track_timescale", tick.den, 0);
    av_dict_set(&settings, "movflags", tagged ? "+faststart+write_colr" : "+faststart", 0);
  }
  check(avio_open(&raw->pb, url.c_str(), AVIO_FLAG_WRITE), "opening the file");
  const int begun = avformat_write_header(raw, &settings);
  av_dict_free(&settings);
  check(begun, "writing the header");
}

FramePtr VideoWriter::State::blank_frame() const {
  FramePtr frame = new_frame();
  frame->format = encoder->pix_fmt;
  frame->width = width;
  frame->height = height;
  frame->color_range = encoder->color_range;
  if (av_frame_get_buffer(frame.get(), 0) < 0) throw std::bad_alloc();
  return frame;
}

// `shown` of `image` (upright) into the planes.
void VideoWriter::State::draw(ConstImageView image, const Rect& shown, AVFrame& frame) {
  const AVPixFmtDescriptor* planes = av_pix_fmt_desc_get(encoder->pix_fmt);
  Rect at = stored_rect(shown, format.orientation, width, height);
  // Grown to whole blocks of 32, which keeps chroma samples whole and the converter's tables valid from frame to frame.
  constexpr int kBlock = 32;
  const bool whole = at.width * 2 > width && at.height * 2 > height && planes->log2_chroma_w == 0;
  const int x1 = whole ? width : std::min(width, (at.x + at.width + kBlock - 1) / kBlock * kBlock);
  const int y1 = whole ? height : std::min(height, (at.y + at.height + kBlock - 1) / kBlock * kBlock);
  at.x = whole ? 0 : at.x / kBlock * kBlock;
  at.y = whole ? 0 : at.y / kBlock * kBlock;
  at.width = x1 - at.x;
  at.height = y1 - at.y;
  const int back = inverse_orientation(format.orientation);
  const Rect source = stored_rect(at, back, image.width, image.height);  // the same part of the upright picture
  const ConstImageView part(image.row(source.y) + 3 * source.x, source.width, source.height, image.stride);
  if (format.orientation == 1) return converter->to_planes(part, at, frame);
  converter->to_planes(upright(part, back), at, frame);
}

void VideoWriter::State::remember(int64_t pts, int64_t duration) {
  const AVRational usual = av_inv_q(to_av(format.average_rate));
  durations[pts] = duration > 0 ? duration : std::max<int64_t>(1, av_rescale_q(1, usual, encoder->time_base));
}

void VideoWriter::State::encode(AVFrame* frame) {
  check(avcodec_send_frame(encoder.get(), frame), "encoding");
  for (;;) {
    const int got = avcodec_receive_packet(encoder.get(), packet.get());
    if (got == AVERROR(EAGAIN) || got == AVERROR_EOF) return;
    check(got, "encoding");
    const auto duration = durations.find(packet->pts);
    if (duration != durations.end()) {
      packet->duration = duration->second;
      durations.erase(duration);
    }
    if (others) others->until(double(packet->dts) * av_q2d(encoder->time_base));
    av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
    packet->stream_index = stream->index;
    check(av_interleaved_write_frame(output.get(), packet.get()), "writing");
  }
}

void VideoWriter::write(ConstImageView image, int64_t pts, int64_t duration) {
  State& s = *state_;
  if (image.width != s.format.width || image.height != s.format.height)
    throw Error(s.path + ": a picture of " + std::to_string(image.width) + "x" + std::to_string(image.height) +
                " does not fit a clip of " + std::to_string(s.format.width) + "x" + std::to_string(s.format.height));
  const FramePtr frame = s.blank_frame();
  s.draw(image, {0, 0, image.width, image.height}, *frame);
  frame->pts = pts;
  s.remember(pts, duration);
  s.encode(frame.get());
}

void VideoWriter::write(const VideoFrame& frame, const Rect& changed) {
  State& s = *state_;
  const AVFrame* native = frame.native ? frame.native->frame.get() : nullptr;
  const bool usable = native && plain_format(native->format) == s.encoder->pix_fmt && native->width == s.width &&
                      native->height == s.height;
  if (!usable) return write(ConstImageView(frame.image), frame.pts, frame.duration);
  const FramePtr planes = new_frame();
  if (av_frame_ref(planes.get(), native) < 0) throw std::bad_alloc();
  if (!changed.empty()) {
    if (av_frame_make_writable(planes.get()) < 0) throw std::bad_alloc();
    s.draw(frame.image, changed, *planes);
  }
  planes->format = s.encoder->pix_fmt;
  planes->pict_type = AV_PICTURE_TYPE_NONE;  // the encoder chooses, not the old one
  planes->interlaced_frame = 0;
  planes->pts = frame.pts;
  s.remember(frame.pts, frame.duration);
  s.encode(planes.get());
}

void VideoWriter::finish() {
  State& s = *state_;
  if (s.finished) return;
  s.encode(nullptr);
  if (s.others) s.others->rest();
  s.check(av_write_trailer(s.output.get()), "finishing the file");
  s.check(avio_closep(&s.output->pb), "closing the file");
  if (s.muxer != "matroska") mark_mp4(s.file->release_to_writer(), s.options.mark);
  s.file->commit();
  s.finished = true;
}

}  // namespace doppel
