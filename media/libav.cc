#include "media/libav.h"

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <new>
#include <string_view>
#include <thread>

#include "runtime/error.h"

namespace doppel {
namespace {

std::mutex g_log_mutex;
std::string g_last_message;

void keep_message(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  char line[512];
  int prefix = 0;
  av_log_format_line2(context, level, format, arguments, line, sizeof line, &prefix);
  std::string text(line);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.rfind("[", 0) == 0) {  // "[mov,mp4 @ 0x55...] message"
    const size_t end = text.find("] ");
    if (end != std::string::npos) text.erase(0, end + 2);
  }
  if (text.empty()) return;
  const std::lock_guard lock(g_log_mutex);
  g_last_message = text;
}

// Containers that hold video. Left out on purpose: formats that open other files (concat, hls, image sequences) and
// those that take anything for a picture (tty reads plain text).
constexpr const char* kContainers =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,nut,h264,hevc,ivf,m4v,"
    "yuv4mpegpipe,"
    "rm,dv";

// The file begins like an MP4 or MOV. libav goes by the name alone if it must, and then misses a "moov" in any text.
bool begins_with_box(const std::string& path) {
  char head[8] = {};
  std::ifstream(path, std::ios::binary).read(head, sizeof head);
  const std::string_view type(head + 4, 4);
  for (const std::string_view known : {"ftyp", "moov", "mdat", "wide", "free", "skip", "styp"}) {
    if (type == known) return true;
  }
  return false;
}

}  // namespace

FramePtr new_frame() {
  FramePtr frame(av_frame_alloc());
  if (!frame) throw std::bad_alloc();
  return frame;
}

PacketPtr new_packet() {
  PacketPtr packet(av_packet_alloc());
  if (!packet) throw std::bad_alloc();
  return packet;
}

std::string libav_error(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

void quiet_libav() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback(keep_message); });
}

std::string last_libav_message() {
  const std::lock_guard lock(g_log_mutex);
  return g_last_message;
}

void clear_libav_message() {
  const std::lock_guard lock(g_log_mutex);
  g_last_message.clear();
}

InputPtr open_input(const std::string& path) {
  quiet_libav();
  clear_libav_message();
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (!std::filesystem::exists(status)) throw Error(path + ": no such file; check the name");
  if (std::filesystem::is_directory(status)) throw Error(path + ": is a folder; name a clip in it");
  if (std::filesystem::is_regular_file(status) && std::filesystem::file_size(path, ignored) == 0)
    throw Error(path + ": the file is empty; give a clip such as an MP4");
  AVFormatContext* raw = nullptr;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "format_whitelist", kContainers, 0);
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  const int opened = avformat_open_input(&raw, ("file:" + path).c_str(), nullptr, &options);
  av_dict_free(&options);
  if (opened < 0) {
    const std::string said = last_libav_message();
    if (said.find("moov atom not found") != std::string::npos && begins_with_box(path))
      throw Error(path +
                  ": cut short before its index (moov) was written, nothing can be read; copy or record it again");
    if (opened == AVERROR_INVALIDDATA || opened == AVERROR_EOF)
      throw Error(path + ": not a clip that doppel can read; give an MP4, MOV, MKV, WebM or AVI file");
    throw Error(path + ": cannot read: " + libav_error(opened) + "; check the file and its permissions");
  }
  InputPtr input(raw);
  const int found = avformat_find_stream_info(input.get(), nullptr);
  if (found < 0) throw Error(path + ": its streams cannot be read: " + libav_error(found) + "; the file is damaged");
  return input;
}

int codec_threads(int wanted) {
  if (wanted > 0) return wanted;
  return std::clamp(int(std::thread::hardware_concurrency()), 1, 4);
}

}  // namespace doppel
