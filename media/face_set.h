// A face set: one person's aligned faces in a folder.
//
//   FOLDER/000000.jpg ...      crops, size x size, JPEG 4:4:4
//   FOLDER/manifest.jsonl      lines of JSON, each followed by a tab and the CRC-32 of the JSON in hexadecimal:
//     {"format":"doppel face set","version":1,"size":256,"coverage":2.25}                 the first line
//     {"face":"000000.jpg","source":"a.mp4","frame":0,"time":0.0,"landmarks":[...],...}  one for each crop
//     {"source":"a.mp4","key":"...","frames":600,"faces":590,...,"done":true}            how far a source was read
//     {"end":true,"faces":590}                                                           the last line of a finished
//     set
//
// Lines are only ever appended, a crop before its line, so that whatever stops the program leaves whole lines and
// perhaps a torn one. Reading is strict: a set without its end line, with a torn or an altered line is refused. Writing
// on is the repair for what a crash leaves: FaceSetWriter drops what follows the last source line, a torn last line
// with it, and goes on from there. A bad line that others follow is no crash's doing and is refused by both.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/image.h"
#include "kernels/landmarks.h"

namespace doppel {

struct FaceSetHeader {
  int size = 256;         // side of a crop in pixels, 32..1024
  float coverage = 2.1f;  // side of a crop in canonical units (the transform's meaning)
};

struct FaceRecord {
  std::string file;       // within the folder; set by the writer
  std::string source;     // the clip or picture it is from, as named on the command line
  int64_t frame = 0;      // index within the source, from 0
  double time = 0;        // seconds
  Landmarks landmarks{};  // frame pixels
  Affine transform;       // frame pixels -> crop pixels
  float sharpness = 0;
  float yaw = 0, pitch = 0, roll = 0;  // degrees
  uint32_t crc = 0;                    // CRC-32 of the crop file; set by the writer
};

// How far a source was read.
struct FaceSource {
  std::string name;
  std::string key;     // what makes it the same source again: name, size, time of change and the options that matter
  int64_t frames = 0;  // looked at, from the first
  int64_t faces = 0;
  int64_t without_face = 0;
  bool done = false;
};

struct FaceSet {
  std::string path;
  FaceSetHeader header;
  std::vector<FaceRecord> faces;  // those whose crop is there
  std::vector<FaceSource> sources;
  int deleted = 0;  // faces named in the manifest whose crops somebody removed: they are skipped

  // Reads the manifest. Throws Error, naming the file and what to do, for a folder that is not a face set, another
  // version, an altered or cut manifest, and an unfinished set (interrupted extract: run it again).
  static FaceSet load(const std::string& path);

  // Of all crops, decoded.
  size_t pixel_bytes() const { return faces.size() * size_t(header.size) * size_t(header.size) * 3; }
  // Decodes them into pixels [faces.size(), size, size, 3], on all cores. loaded(begin, end), if given, is called in
  // the calling thread for some hundred faces after the other, which are then there; it may change them, and ends the
  // loading by throwing. Throws Error naming the crop that is altered, cut short or of another size.
  void load_pixels(uint8_t* pixels, const std::function<void(size_t begin, size_t end)>& loaded = {}) const;
};

// Is there something at `path` that is a face set (of any version, finished or not)?
bool is_face_set(const std::string& path);

class FaceSetWriter {
 public:
  // Starts a set in a folder that does not exist or is empty, or goes on with one. Throws Error when the folder holds
  // something else, a set of another version, size or coverage, an altered manifest, or cannot be written. One writer
  // at a time (the manifest is locked).
  FaceSetWriter(const std::string& path, const FaceSetHeader& header);
  ~FaceSetWriter();
  FaceSetWriter(const FaceSetWriter&) = delete;
  FaceSetWriter& operator=(const FaceSetWriter&) = delete;

  // What is known of this source from this or an earlier run, by key or by name; nullptr: nothing.
  const FaceSource* source(std::string_view key) const;
  const FaceSource* source_named(std::string_view name) const;
  // Faces in the set now.
  int64_t faces() const;

  // Writes the crop (size x size) and its line. record.file and record.crc are set here. Throws Error (disk full).
  void append(FaceRecord record, ConstImageView crop);
  // The same for a crop that is already JPEG, so that encoding can happen on another thread.
  void append(FaceRecord record, std::string_view jpeg);
  // How far a source was read: its line. The faces appended since the last source line are kept from now on; an
  // interrupted run goes on at source.frames. Call it at least at the end of a source, when the work is interrupted,
  // and every ten seconds or so. All is synced to disk first, but not more often than every two seconds.
  void note_source(const FaceSource& source);
  // The set is complete: the end line, synced. Without it the set counts as unfinished. Does nothing on a finished set
  // to which nothing was added; a finished set that is added to becomes unfinished with the first line.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// JPEG as face sets hold it (quality 97, 4:4:4).
std::string encode_crop(ConstImageView crop);

}  // namespace doppel
