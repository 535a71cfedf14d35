#include "tools/extract_source.h"

#include <filesystem>
#include <utility>

#include "media/media_list.h"
#include "media/picture.h"
#include "media/video_reader.h"
#include "runtime/error.h"

namespace doppel {
namespace {

class StillSource : public PictureSource {
 public:
  explicit StillSource(const std::string& path) : image_(read_picture(path)) {}
  bool next(SourcePicture& picture) override {
    if (image_.empty()) return false;
    picture.image = std::exchange(image_, Image());
    return true;
  }

 private:
  Image image_;
};

class ClipSource : public PictureSource {
 public:
  ClipSource(const std::string& path, int every, int64_t first) : reader_(path), every_(every), first_(first) {}
  bool next(SourcePicture& picture) override {
    for (;;) {
      const bool wanted = at_ % every_ == 0 && at_ >= first_;
      VideoFrame frame;
      if (!(wanted ? reader_.next(frame) : reader_.skip(frame))) return false;
      ++at_;
      if (!wanted) continue;
      picture.image = std::move(frame.image);
      picture.frame = at_ - 1;
      picture.time = double(frame.pts) * reader_.format().time_base.value();
      return true;
    }
  }
  int64_t total() const override { return reader_.frame_count(); }
  std::string damage() const override { return reader_.damage(); }

 private:
  VideoReader reader_;
  int64_t every_, first_, at_ = 0;
};

}  // namespace

std::unique_ptr<PictureSource> open_source(const std::string& path, int every, int64_t first) {
  if (media_kind(path) == MediaKind::picture) return std::make_unique<StillSource>(path);
  return std::make_unique<ClipSource>(path, every, first);
}

std::vector<std::string> source_files(const std::vector<std::string>& inputs, std::vector<std::string>& failures) {
  std::vector<std::string> files;
  for (const std::string& input : inputs) {
    std::error_code none;
    if (!std::filesystem::is_directory(input, none)) {
      files.push_back(input);
      continue;
    }
    try {
      for (const std::string& file : list_media(input)) files.push_back(file);
    } catch (const Error& e) {
      failures.push_back(e.what());
    }
  }
  return files;
}

}  // namespace doppel
