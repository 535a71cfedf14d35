#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "media/face_set_manifest.h"
#include "runtime/atomic_file.h"
#include "runtime/clock.h"
#include "runtime/error.h"

namespace doppel {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw Error("cannot " + std::string(what) + " " + path + ": " + std::strerror(errno));
}

// Everything or an errno.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(size_t(n));
  }
  return true;
}

// Not synced: note_source() syncs all crops at once.
void write_crop(const std::string& path, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail(path, "create");
  const bool good = write_all(fd, bytes);
  const int error = errno;
  if (::close(fd) == 0 && good) return;
  if (!good) errno = error;
  const std::string message = std::strerror(errno);
  ::unlink(path.c_str());
  throw Error("cannot write " + path + ": " + message + "; make room and run the same command again");
}

// Throws unless `path` is a folder that a set may be started in.
void prepare_folder(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error)) {
    if (!fs::is_directory(path, error)) throw Error(path + " is a file, not a folder: choose another output");
    const fs::directory_iterator entries(path, error);
    if (error) throw Error("cannot read the folder " + path + ": " + error.message());
    for (const fs::directory_entry& entry : entries) {
      // What a crash in the first instant leaves is no stranger's.
      if (entry.path().filename().string().starts_with(std::string(kManifestName) + ".new-")) continue;
      throw Error(path + " holds other files (" + entry.path().filename().string() +
                  ") and is not a face set: choose a new or empty folder");
    }
    return;
  }
  fs::create_directories(path, error);
  if (error) throw Error("cannot create the folder " + path + ": " + error.message());
}

std::string number_text(float value) {
  std::string text = std::to_string(value);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

struct FaceSetWriter::Impl {
  std::string path;
  int fd = -1;
  off_t bytes = 0;       // of the manifest, all whole lines
  off_t end_offset = 0;  // of the end line; where the next line goes
  bool finished = false;
  int64_t faces = 0;
  std::vector<FaceSource> sources;
  Clock::time_point synced{};

  ~Impl() {
    if (fd >= 0) ::close(fd);
  }

  std::string manifest() const { return path + "/" + kManifestName; }

  void go_on(const FaceSetHeader& header) {
    Manifest old = parse_manifest(read_file(manifest()), path);
    if (old.header.size != header.size || std::abs(old.header.coverage - header.coverage) > 1e-5f) {
      throw Error(path + " is a face set of size " + std::to_string(old.header.size) + " and coverage " +
                  number_text(old.header.coverage) + ", not " + std::to_string(header.size) + " and " +
                  number_text(header.coverage) + ": choose another folder, or the same values");
    }
    if (old.bad_line > 0 && !old.bad_is_last) {
      throw Error(manifest() + " is damaged in line " + std::to_string(old.bad_line) +
                  ": remove the folder, or choose another");
    }
    finished = old.finished;
    sources = std::move(old.sources);
    faces = int64_t(finished ? old.faces.size() : old.safe_faces);
    bytes = off_t(fs::file_size(manifest()));
    end_offset = off_t(finished ? old.end_offset : old.safe_bytes);
    if (finished) return;
    // What follows the last source line may not be whole on disk: it is made again.
    cut();
    std::vector<fs::path> stray;
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      const std::string name = entry.path().filename().string();
      const int64_t index = std::strtoll(name.c_str(), nullptr, 10);
      if (index >= faces && name == crop_name(index)) stray.push_back(entry.path());
    }
    for (const fs::path& file : stray) {
      std::error_code ignored;  // a later crop overwrites it
      fs::remove(file, ignored);
    }
  }

  void cut() {
    if (::ftruncate(fd, end_offset) != 0) fail(manifest(), "shorten");
    bytes = end_offset;
  }

  void add(const std::string& line) {
    if (finished) {
      cut();
      finished = false;
    }
    if (!write_all(fd, line)) {
      const std::string message = std::strerror(errno);
      // A torn line at the end is understood; this only tidies, so its failure may pass.
      if (::ftruncate(fd, bytes) != 0) errno = 0;
      throw Error("cannot write " + manifest() + ": " + message + "; make room and run the same command again");
    }
    bytes += off_t(line.size());
    end_offset = bytes;
  }
};

FaceSetWriter::FaceSetWriter(const std::string& path, const FaceSetHeader& header) : impl_(std::make_unique<Impl>()) {
  if (header.size < 32 || header.size > 1024 || !(header.coverage > 0)) {
    throw std::invalid_argument("FaceSetWriter: size must be 32..1024 and coverage above 0");
  }
  impl_->path = path;
  const bool old = is_face_set(path);
  if (!old) {
    prepare_folder(path);
    write_file(impl_->manifest(), header_line(header));
  }
  impl_->fd = ::open(impl_->manifest().c_str(), O_RDWR | O_APPEND | O_CLOEXEC);
  if (impl_->fd < 0) fail(impl_->manifest(), "open");
  if (::flock(impl_->fd, LOCK_EX | LOCK_NB) != 0) {
    throw Error(path + " is being written by another doppel: wait for it, or choose another folder");
  }
  impl_->go_on(header);
}

FaceSetWriter::~FaceSetWriter() = default;

const FaceSource* FaceSetWriter::source(std::string_view key) const {
  for (const FaceSource& s : impl_->sources) {
    if (s.key == key) return &s;
  }
  return nullptr;
}

const FaceSource* FaceSetWriter::source_named(std::string_view name) const {
  for (const FaceSource& s : impl_->sources) {
    if (s.name == name) return &s;
  }
  return nullptr;
}

int64_t FaceSetWriter::faces() const {
  return impl_->faces;
}

void FaceSetWriter::append(FaceRecord record, ConstImageView crop) {
  append(std::move(record), encode_crop(crop));
}

void FaceSetWriter::append(FaceRecord record, std::string_view jpeg) {
  record.file = crop_name(impl_->faces);
  record.crc = crc32(jpeg.data(), jpeg.size());
  const std::string line = face_line(record);
  write_crop(impl_->path + "/" + record.file, jpeg);
  impl_->add(line);
  ++impl_->faces;
}

void FaceSetWriter::note_source(const FaceSource& source) {
  // A folder of photographs notes hundreds of sources a minute, and a sync of all crops takes its time. After a power
  // cut the checksums tell what was lost.
  const auto now = Clock::now();
  const bool sync = now - impl_->synced > std::chrono::seconds(2);
  if (sync && ::syncfs(impl_->fd) != 0) fail(impl_->path, "sync");
  impl_->add(source_line(source));
  if (sync && ::fsync(impl_->fd) != 0) fail(impl_->manifest(), "sync");
  if (sync) impl_->synced = now;
  const auto same = std::find_if(impl_->sources.begin(), impl_->sources.end(),
                                 [&](const FaceSource& s) { return s.key == source.key; });
  if (same != impl_->sources.end()) {
    *same = source;
  } else {
    impl_->sources.push_back(source);
  }
}

void FaceSetWriter::finish() {
  if (impl_->finished) return;
  if (::syncfs(impl_->fd) != 0) fail(impl_->path, "sync");
  const off_t start = impl_->bytes;
  impl_->add(end_line(impl_->faces));
  impl_->end_offset = start;
  impl_->finished = true;
  if (::fsync(impl_->fd) != 0) fail(impl_->manifest(), "sync");
}

}  // namespace doppel
