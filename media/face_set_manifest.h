// The lines of a face set's manifest: text to records and back. Private to media/face_set.*.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "media/face_set.h"

namespace doppel {

inline constexpr int kFaceSetVersion = 1;
inline constexpr const char* kManifestName = "manifest.jsonl";

// Each returns a whole line: JSON, tab, checksum, newline.
std::string header_line(const FaceSetHeader& header);
std::string face_line(const FaceRecord& record);
std::string source_line(const FaceSource& source);
std::string end_line(int64_t faces);

std::string crop_name(int64_t index);

// What a manifest's text says, up to its first bad line.
struct Manifest {
  FaceSetHeader header;
  std::vector<FaceRecord> faces;
  std::vector<FaceSource> sources;  // the last line of each key, in order of first appearance
  bool finished = false;            // the end line is there and last

  int bad_line = 0;          // number of the first line that is torn or altered, from 1; 0: none
  bool bad_is_last = false;  // nothing follows it: what a crash leaves

  // The last point at which everything was on disk: after the header or a source line.
  size_t safe_bytes = 0;
  size_t safe_faces = 0;
  // Where the end line begins; the text's length without one.
  size_t end_offset = 0;
};

// Throws Error for text that is not a face set's manifest at all, or of another version. `path` is the folder.
Manifest parse_manifest(std::string_view text, const std::string& path);

}  // namespace doppel
