#include "media/media_list.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "media/picture.h"
#include "runtime/error.h"

namespace fs = std::filesystem;

namespace doppel {
namespace {

constexpr std::array<std::string_view, 11> kPictures = {".png", ".jpg", ".jpeg", ".bmp", ".tga", ".psd",
                                                        ".gif", ".ppm", ".pgm",  ".pnm", ".jpe"};
constexpr std::array<std::string_view, 19> kClips = {".mp4",  ".m4v", ".mov", ".mkv",  ".webm", ".avi", ".mpg",
                                                     ".mpeg", ".ts",  ".mts", ".m2ts", ".flv",  ".wmv", ".asf",
                                                     ".ogv",  ".mxf", ".3gp", ".nut",  ".y4m"};

template <size_t N>
bool has(const std::array<std::string_view, N>& names, const std::string& path) {
  return std::find(names.begin(), names.end(), extension_of(path)) != names.end();
}

}  // namespace

MediaKind media_kind(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char bytes[8] = {};
  file.read(bytes, sizeof bytes);
  const std::string_view start(bytes, size_t(file.gcount()));
  for (const std::string_view magic : {"\x89PNG", "\xFF\xD8\xFF", "GIF8", "8BPS"}) {
    if (start.substr(0, magic.size()) == magic) return MediaKind::picture;
  }
  return has_picture_name(path) ? MediaKind::picture : MediaKind::clip;
}

bool has_picture_name(const std::string& path) {
  return has(kPictures, path);
}

bool has_clip_name(const std::string& path) {
  return has(kClips, path);
}

std::vector<std::string> list_media(const std::string& folder) {
  std::error_code failed;
  fs::directory_iterator entries(folder, failed);
  if (failed) throw Error(folder + ": cannot read this folder: " + failed.message());
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : entries) {
    const std::string path = entry.path().string();
    if (entry.path().filename().string().front() == '.' || !entry.is_regular_file(failed)) continue;
    if (has_picture_name(path) || has_clip_name(path)) found.push_back(path);
  }
  if (found.empty())
    throw Error(folder + ": holds no picture and no clip; name a folder with PNG, JPEG, MP4, MOV or MKV");
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace doppel
