#include "clips.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
}
#include <unistd.h>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "media/video_reader.h"
#include "media/video_writer.h"
#include "runtime/error.h"

namespace doppel {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "doppel-test-XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Image test_picture(int width, int height, int index) {
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      uint8_t* p = image.row(y) + 3 * x;
      p[0] = uint8_t(40 + 170 * x / width);
      p[1] = uint8_t(30 + 190 * y / height);
      p[2] = uint8_t(60 + 60 * ((x * 2 / width) ^ (y * 3 / height & 1)) + (index * 37) % 70);
    }
  }
  return image;
}

Image flat_picture(int width, int height, int red, int green, int blue) {
  Image image(width, height);
  for (int i = 0; i < width * height; ++i) {
    image.data()[3 * i] = uint8_t(red);
    image.data()[3 * i + 1] = uint8_t(green);
    image.data()[3 * i + 2] = uint8_t(blue);
  }
  return image;
}

double psnr(const Image& a, const Image& b) {
  if (a.width() != b.width() || a.height() != b.height() || a.empty()) return -1;
  double sum = 0;
  for (size_t i = 0; i < a.size_bytes(); ++i) sum += std::pow(double(a.data()[i]) - b.data()[i], 2);
  return sum == 0 ? 99 : 10 * std::log10(255.0 * 255.0 * double(a.size_bytes()) / sum);
}

VideoFormat plain_format(int width, int height) {
  return VideoFormat::simple(width, height, 30);
}

std::vector<int64_t> even_times(int frames, int64_t step) {
  std::vector<int64_t> times;
  for (int i = 0; i < frames; ++i) times.push_back(i * step);
  return times;
}

void write_test_clip(const std::string& path, const VideoFormat& format, const std::vector<int64_t>& times) {
  WriterOptions options;
  options.threads = 1;
  VideoWriter writer(path, format, options);
  for (size_t i = 0; i < times.size(); ++i) {
    const int64_t duration = i + 1 < times.size() ? times[i + 1] - times[i] : 0;
    writer.write(test_picture(format.width, format.height, int(i)), times[i], duration);
  }
  writer.finish();
}

void write_tone(const std::string& path, double seconds) {
  AVFormatContext* file = nullptr;
  REQUIRE(avformat_alloc_output_context2(&file, nullptr, "mp4", path.c_str()) >= 0);
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
  AVCodecContext* encoder = avcodec_alloc_context3(codec);
  encoder->sample_rate = 44100;
  encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
  av_channel_layout_default(&encoder->ch_layout, 1);
  encoder->bit_rate = 64000;
  encoder->time_base = {1, 44100};
  encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  REQUIRE(avcodec_open2(encoder, codec, nullptr) >= 0);
  AVStream* stream = avformat_new_stream(file, nullptr);
  avcodec_parameters_from_context(stream->codecpar, encoder);
  stream->time_base = encoder->time_base;
  REQUIRE(avio_open(&file->pb, path.c_str(), AVIO_FLAG_WRITE) >= 0);
  REQUIRE(avformat_write_header(file, nullptr) >= 0);
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  const auto drain = [&] {
    while (avcodec_receive_packet(encoder, packet) == 0) {
      av_packet_rescale_ts(packet, encoder->time_base, stream->time_base);
      packet->stream_index = 0;
      REQUIRE(av_interleaved_write_frame(file, packet) >= 0);
    }
  };
  for (int64_t at = 0; at < int64_t(seconds * 44100); at += encoder->frame_size) {
    frame->nb_samples = encoder->frame_size;
    frame->format = encoder->sample_fmt;
    av_channel_layout_copy(&frame->ch_layout, &encoder->ch_layout);
    REQUIRE(av_frame_get_buffer(frame, 0) >= 0);
    auto* samples = reinterpret_cast<float*>(frame->data[0]);
    for (int i = 0; i < frame->nb_samples; ++i) samples[i] = float(0.3 * std::sin(0.06 * double(at + i)));
    frame->pts = at;
    REQUIRE(avcodec_send_frame(encoder, frame) >= 0);
    av_frame_unref(frame);
    drain();
  }
  avcodec_send_frame(encoder, nullptr);
  drain();
  REQUIRE(av_write_trailer(file) >= 0);
  avio_closep(&file->pb);
  av_packet_free(&packet);
  av_frame_free(&frame);
  avcodec_free_context(&encoder);
  avformat_free_context(file);
}

namespace {

struct Opened {
  AVFormatContext* file = nullptr;
  int stream = -1;
  AVPacket* packet = av_packet_alloc();

  Opened(const std::string& path, AVMediaType type) {
    REQUIRE(avformat_open_input(&file, path.c_str(), nullptr, nullptr) >= 0);
    REQUIRE(avformat_find_stream_info(file, nullptr) >= 0);
    stream = av_find_best_stream(file, type, -1, -1, nullptr, 0);
  }
  ~Opened() {
    av_packet_free(&packet);
    avformat_close_input(&file);
  }
  bool next() {
    for (;;) {
      av_packet_unref(packet);
      if (av_read_frame(file, packet) < 0) return false;
      if (packet->stream_index == stream) return true;
    }
  }
};

RawFrame raw(const AVFrame& frame) {
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(AVPixelFormat(frame.format));
  RawFrame out{frame.width, frame.height, frame.format, {}};
  for (int plane = 0; plane < 3; ++plane) {
    const int width = plane ? AV_CEIL_RSHIFT(frame.width, format->log2_chroma_w) : frame.width;
    const int height = plane ? AV_CEIL_RSHIFT(frame.height, format->log2_chroma_h) : frame.height;
    for (int y = 0; y < height; ++y)
      out.planes[plane].append(reinterpret_cast<const char*>(frame.data[plane]) + y * frame.linesize[plane],
                               size_t(width));
  }
  return out;
}

}  // namespace

ReadClip read_all(const std::string& path) {
  VideoReader reader(path);
  ReadClip all;
  VideoFrame frame;
  while (reader.next(frame)) {
    all.images.push_back(frame.image);
    all.times.push_back(frame.pts);
    all.durations.push_back(frame.duration);
  }
  all.damage = reader.damage();
  return all;
}

std::vector<RawPacket> packets_of(const std::string& path, char kind) {
  Opened in(path, kind == 'a' ? AVMEDIA_TYPE_AUDIO : AVMEDIA_TYPE_VIDEO);
  std::vector<RawPacket> packets;
  while (in.stream >= 0 && in.next()) {
    const double time = double(in.packet->pts) * av_q2d(in.file->streams[in.stream]->time_base);
    packets.push_back({time, std::string(reinterpret_cast<char*>(in.packet->data), size_t(in.packet->size))});
  }
  return packets;
}

std::vector<RawFrame> raw_frames(const std::string& path) {
  Opened in(path, AVMEDIA_TYPE_VIDEO);
  REQUIRE(in.stream >= 0);
  const AVCodecParameters* parameters = in.file->streams[in.stream]->codecpar;
  const AVCodec* codec = avcodec_find_decoder(parameters->codec_id);
  AVCodecContext* decoder = avcodec_alloc_context3(codec);
  REQUIRE(avcodec_parameters_to_context(decoder, parameters) >= 0);
  REQUIRE(avcodec_open2(decoder, codec, nullptr) >= 0);
  AVFrame* frame = av_frame_alloc();
  std::vector<RawFrame> frames;
  const auto drain = [&] {
    while (avcodec_receive_frame(decoder, frame) == 0) frames.push_back(raw(*frame));
  };
  while (in.next()) {
    REQUIRE(avcodec_send_packet(decoder, in.packet) >= 0);
    drain();
  }
  avcodec_send_packet(decoder, nullptr);
  drain();
  av_frame_free(&frame);
  avcodec_free_context(&decoder);
  return frames;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace doppel
