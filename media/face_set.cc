#include "media/face_set.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "kernels/parallel.h"
#include "media/face_set_manifest.h"
#include "media/picture.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

namespace doppel {

namespace fs = std::filesystem;

namespace {

constexpr int kCropQuality = 97;

// The crop `to` of the set, checked and decoded into out [size, size, 3].
void read_crop(const FaceSet& set, const FaceRecord& face, uint8_t* out) {
  const std::string path = set.path + "/" + face.file;
  const std::string advice = ": delete it and the set goes on without it, or extract again into a new folder";
  const std::string bytes = read_file(path);
  if (crc32(bytes.data(), bytes.size()) != face.crc) {
    throw Error(path + " is not the crop that was written (altered or cut short)" + advice);
  }
  const Image image = decode_picture(bytes, path);
  if (image.width() != set.header.size || image.height() != set.header.size) {
    throw Error(path + " is not " + std::to_string(set.header.size) + " pixels wide and high" + advice);
  }
  std::copy_n(image.data(), image.size_bytes(), out);
}

}  // namespace

bool is_face_set(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(fs::path(path) / kManifestName, ignored);
}

FaceSet FaceSet::load(const std::string& path) {
  if (!is_face_set(path)) {
    throw Error(path + " is not a face set (no " + kManifestName + " in it): make one with doppel extract CLIP -o " +
                path);
  }
  const std::string where = path + "/" + kManifestName;
  Manifest manifest = parse_manifest(read_file(where), path);
  if (manifest.bad_line > 0 && !manifest.bad_is_last) {
    throw Error(where + " is damaged in line " + std::to_string(manifest.bad_line) + ": remove " + path +
                " and extract it again");
  }
  if (!manifest.finished) {
    throw Error(where + " is unfinished or cut short: run the same doppel extract again to finish it");
  }
  FaceSet set;
  set.path = path;
  set.header = manifest.header;
  set.sources = std::move(manifest.sources);
  for (FaceRecord& face : manifest.faces) {
    std::error_code missing;
    if (fs::exists(fs::path(path) / face.file, missing)) {
      set.faces.push_back(std::move(face));
    } else {
      ++set.deleted;
    }
  }
  return set;
}

void FaceSet::load_pixels(uint8_t* pixels, const std::function<void(size_t begin, size_t end)>& loaded) const {
  constexpr size_t kPart = 512;
  const size_t bytes = size_t(3) * size_t(header.size) * size_t(header.size);
  for (size_t first = 0; first < faces.size(); first += kPart) {
    const size_t last = std::min(first + kPart, faces.size());
    std::mutex mutex;
    std::exception_ptr error;  // of the first bad crop in order: exceptions must not leave a parallel loop
    size_t error_index = last;
    parallel_for(int64_t(last - first), 8, [&](int64_t begin, int64_t end) {
      for (size_t i = first + size_t(begin); i < first + size_t(end); ++i) {
        try {
          read_crop(*this, faces[i], pixels + i * bytes);
        } catch (...) {
          std::lock_guard lock(mutex);
          if (i < error_index) {
            error_index = i;
            error = std::current_exception();
          }
          return;
        }
      }
    });
    if (error) std::rethrow_exception(error);
    if (loaded) loaded(first, last);
  }
}

std::string encode_crop(ConstImageView crop) {
  return encode_jpeg(crop, kCropQuality);
}

}  // namespace doppel
