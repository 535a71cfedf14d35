#include "media/stream_copy.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "runtime/error.h"

namespace doppel {
namespace {

// Tags that describe the old file's packaging or encoder, not its content.
constexpr const char* kPackaging[] = {"encoder", "major_brand", "minor_version", "compatible_brands"};

void copy_metadata(AVDictionary** to, const AVDictionary* from) {
  av_dict_copy(to, from, AV_DICT_DONT_OVERWRITE);
  for (const char* key : kPackaging) av_dict_set(to, key, nullptr, 0);
}

}  // namespace

StreamCopy::StreamCopy(const std::string& path, AVFormatContext* output, const std::string& output_name)
    : output_name_(output_name), output_(output), input_(open_input(path)) {
  target_.assign(input_->nb_streams, -1);
  for (unsigned i = 0; i < input_->nb_streams; ++i) {
    AVStream* from = input_->streams[i];
    const AVMediaType type = from->codecpar->codec_type;
    const bool audio = type == AVMEDIA_TYPE_AUDIO;
    const bool holds = avformat_query_codec(output->oformat, from->codecpar->codec_id, FF_COMPLIANCE_NORMAL) == 1;
    if (audio && !holds)
      throw Error(output_name + ": cannot hold the audio of " + path + " (" +
                  avcodec_get_name(from->codecpar->codec_id) + "); name the output .mkv instead");
    if (!holds || (!audio && type != AVMEDIA_TYPE_SUBTITLE)) {
      from->discard = AVDISCARD_ALL;
      continue;
    }
    AVStream* to = avformat_new_stream(output, nullptr);
    if (!to || avcodec_parameters_copy(to->codecpar, from->codecpar) < 0) throw std::bad_alloc();
    to->codecpar->codec_tag = 0;  // the old container's name for the codec; the new one chooses its own
    to->time_base = from->time_base;
    to->disposition = from->disposition;
    copy_metadata(&to->metadata, from->metadata);
    target_[i] = to->index;
    any_ = true;
  }
  copy_metadata(&output->metadata, input_->metadata);
  last_dts_.assign(output->nb_streams, AV_NOPTS_VALUE);
}

const AVDictionary* StreamCopy::video_metadata() const {
  const int index = av_find_best_stream(input_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  return index < 0 ? nullptr : input_->streams[index]->metadata;
}

// The next packet that is wanted into packet_. A file that is cut short just ends; its VideoReader reports that.
bool StreamCopy::read() {
  for (;;) {
    av_packet_unref(packet_.get());
    if (av_read_frame(input_.get(), packet_.get()) < 0) return false;
    const int target = size_t(packet_->stream_index) < target_.size() ? target_[packet_->stream_index] : -1;
    if (target >= 0 && !(packet_->flags & AV_PKT_FLAG_CORRUPT)) return true;
  }
}

// libav's MP4 reader counts the edit list's empty start into the shown length, and so cuts that much off the last
// packet. This puts it back; without it the end of the sound is lost once more with every copy.
void StreamCopy::mend_last_duration(const AVStream& from) {
  const AVCodecParameters& codec = *from.codecpar;
  if (!std::strstr(input_->iformat->name, "mov") || codec.frame_size <= 0 || codec.sample_rate <= 0) return;
  const int64_t whole = av_rescale_q(codec.frame_size, {1, codec.sample_rate}, from.time_base);
  if (packet_->duration >= whole || from.start_time == AV_NOPTS_VALUE || from.start_time <= 0) return;
  packet_->duration = std::min(whole, packet_->duration + from.start_time);
}

void StreamCopy::until(double seconds) {
  if (!any_) return;
  while (!done_) {
    if (!waiting_ && !read()) {
      done_ = true;
      return;
    }
    waiting_ = true;
    const AVStream& from = *input_->streams[packet_->stream_index];
    const int64_t time = packet_->dts != AV_NOPTS_VALUE ? packet_->dts : packet_->pts;
    if (time != AV_NOPTS_VALUE && double(time) * av_q2d(from.time_base) > seconds) return;
    waiting_ = false;
    const int target = target_[packet_->stream_index];
    mend_last_duration(from);
    av_packet_rescale_ts(packet_.get(), from.time_base, output_->streams[target]->time_base);
    if (packet_->dts == AV_NOPTS_VALUE) packet_->dts = packet_->pts;
    int64_t& last = last_dts_[target];
    if (last != AV_NOPTS_VALUE && packet_->dts != AV_NOPTS_VALUE && packet_->dts <= last) continue;  // damaged clock
    last = packet_->dts;
    packet_->stream_index = target;
    packet_->pos = -1;
    const int written = av_interleaved_write_frame(output_, packet_.get());
    if (written < 0)
      throw Error(output_name_ + ": writing the audio failed: " + libav_error(written) + "; nothing was kept");
  }
}

void StreamCopy::rest() {
  until(std::numeric_limits<double>::infinity());
}

}  // namespace doppel
