#include "tools/extract_inputs.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "media/picture.h"

namespace doppel {

namespace fs = std::filesystem;

namespace {

bool is_clip_name(const std::string& path) {
  static const std::vector<std::string> known = {".mp4", ".m4v", ".mov", ".mkv",  ".webm", ".avi", ".mpg",
                                                 ".ts",  ".mts", ".flv", ".mpeg", ".wmv",  ".3gp", ".ogv"};
  return std::find(known.begin(), known.end(), extension_of(path)) != known.end();
}

}  // namespace

bool is_picture_name(const std::string& path) {
  static const std::vector<std::string> known = {".png", ".jpg", ".jpeg", ".bmp", ".tga",
                                                 ".psd", ".ppm", ".pgm",  ".pnm", ".gif"};
  return std::find(known.begin(), known.end(), extension_of(path)) != known.end();
}

std::vector<Input> expand_inputs(const std::vector<std::string>& paths, std::vector<std::string>& failures) {
  std::vector<Input> inputs;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::exists(path, error)) {
      failures.push_back(path + ": no such file or folder");
      continue;
    }
    if (!fs::is_directory(path, error)) {
      inputs.push_back({path, is_picture_name(path)});
      continue;
    }
    const fs::directory_iterator entries(path, error);
    if (error) {
      failures.push_back(path + ": " + error.message());
      continue;
    }
    std::vector<Input> inside;
    for (const fs::directory_entry& entry : entries) {
      const std::string file = entry.path().string();
      const bool picture = is_picture_name(file);
      if (entry.is_regular_file(error) && (picture || is_clip_name(file))) inside.push_back({file, picture});
    }
    if (inside.empty()) failures.push_back(path + ": no picture or clip in this folder");
    std::sort(inside.begin(), inside.end(), [](const Input& a, const Input& b) { return a.path < b.path; });
    std::move(inside.begin(), inside.end(), std::back_inserter(inputs));
  }
  return inputs;
}

}  // namespace doppel
