// The pictures that extracting a face set looks at, source by source. A source is a picture or a clip.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/image.h"

namespace doppel {

struct SourcePicture {
  Image image;
  int64_t frame = 0;  // its number in the source
  double time = 0;    // seconds
};

// Yields the frames of one source that are to be looked at.
class PictureSource {
 public:
  virtual ~PictureSource() = default;
  // False at the end.
  virtual bool next(SourcePicture& picture) = 0;
  // Frames, looked at or not; 0: unknown.
  virtual int64_t total() const { return 1; }
  // "", or what is wrong with the source, known at its end.
  virtual std::string damage() const { return ""; }
};

// Of a clip every `every`-th frame; those before `first` were looked at by an earlier run. Throws Error when it cannot
// be opened.
std::unique_ptr<PictureSource> open_source(const std::string& path, int every, int64_t first);

// The files that the inputs mean: a folder stands for its pictures and clips. What cannot be listed is a failure.
std::vector<std::string> source_files(const std::vector<std::string>& inputs, std::vector<std::string>& failures);

}  // namespace doppel
