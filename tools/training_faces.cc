#include "tools/training_faces.h"

#include <cstdio>

#include "faces/align.h"
#include "faces/mask.h"
#include "kernels/parallel.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"
#include "tools/progress.h"

namespace doppel {
namespace {

void clear_surrounds(const FaceSet& set, uint8_t* pixels, size_t first, size_t last) {
  const int size = set.header.size;
  parallel_for(int64_t(last - first), 1, [&](int64_t begin, int64_t end) {
    for (size_t i = first + size_t(begin); i < first + size_t(end); ++i) {
      const FaceRecord& face = set.faces[i];
      clear_surround(pixels + i * size_t(size) * size_t(size) * 3, moved(face.landmarks, face.transform), size,
                     kNetworkPart);
    }
  });
}

}  // namespace

std::vector<DecodedFaces> decode_faces(const std::vector<FaceSet>& sets, const DecodeOptions& options) {
  std::vector<DecodedFaces> all;
  for (const FaceSet& set : sets) {
    DecodedFaces& decoded = all.emplace_back();
    if (options.file_folder.empty()) {
      decoded.memory = Buffer(set.pixel_bytes());
      decoded.pixels = decoded.memory.as<uint8_t>();
    } else {
      decoded.file = FileMemory(set.pixel_bytes(), options.file_folder);
      decoded.pixels = decoded.file.as<uint8_t>();
    }
  }
  for (size_t p = 0; p < sets.size(); ++p) {
    const FaceSet& set = sets[p];
    Progress progress("load " + options.names[p], int64_t(set.faces.size()), "faces");
    set.load_pixels(all[p].pixels, [&](size_t begin, size_t end) {
      if (options.face_only) clear_surrounds(set, all[p].pixels, begin, end);
      if (interrupted()) throw Interrupted("stopped while the faces were loaded; the same command starts again");
      progress.update(int64_t(end));
    });
    progress.clear_line();
    std::fprintf(stderr, "%s: %zu faces\n", options.names[p].c_str(), set.faces.size());
  }
  return all;
}

void release_copied(std::vector<DecodedFaces>& sets, const std::vector<bool>& streams, Device device) {
  if (device == Device::cpu) return;
  for (size_t p = 0; p < sets.size(); ++p)
    if (!streams[p]) sets[p] = {};
}

}  // namespace doppel
