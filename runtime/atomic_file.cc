#include "runtime/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "runtime/error.h"

namespace doppel {
namespace {

std::string reason() {
  return std::strerror(errno);
}

std::string folder_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), temporary_(path_ + ".new-" + std::to_string(getpid())) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) throw Error(path_ + ": cannot write: " + reason() + "; choose a folder that exists and is writable");
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!done_) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(fd_, p, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Error(path_ + ": writing failed: " + reason() + "; the previous file, if any, is untouched");
    p += n;
    bytes -= size_t(n);
  }
}

const std::string& AtomicFile::release_to_writer() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  return temporary_;
}

void AtomicFile::commit() {
  if (fd_ < 0) fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd_ < 0) throw Error(path_ + ": cannot finish: " + reason());
  const bool synced = ::fsync(fd_) == 0;
  const bool closed = ::close(fd_) == 0;
  fd_ = -1;
  if (!synced || !closed) throw Error(path_ + ": writing to disk failed: " + reason());
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw Error(path_ + ": cannot replace: " + reason());
  done_ = true;
  // The rename itself is durable only once the folder is synced.
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
}

std::string read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Error(path + ": cannot read: " + reason());
  struct stat info = {};
  if (::fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    ::close(fd);
    throw Error(path + ": cannot read: it is not a file");
  }
  std::string content(size_t(info.st_size), '\0');
  size_t have = 0;
  while (have < content.size()) {
    const ssize_t n = ::read(fd, content.data() + have, content.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const std::string why = reason();
      ::close(fd);
      throw Error(path + ": cannot read: " + why);
    }
    if (n == 0) break;
    have += size_t(n);
  }
  ::close(fd);
  content.resize(have);
  return content;
}

void write_file(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

unsigned crc32(const void* data, size_t bytes, unsigned crc) {
  // Slicing by 8: eight tables, so that a checkpoint of hundreds of MB is summed at GB/s, not at a byte per cycle or
  // two.
  static const auto tables = [] {
    std::array<std::array<unsigned, 256>, 8> t{};
    for (unsigned i = 0; i < 256; ++i) {
      unsigned c = i;
      for (int k = 0; k < 8; ++k) c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      t[0][i] = c;
    }
    for (unsigned i = 0; i < 256; ++i)
      for (int k = 1; k < 8; ++k) t[k][i] = t[0][t[k - 1][i] & 255] ^ (t[k - 1][i] >> 8);
    return t;
  }();
  const auto* p = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; bytes >= 8; bytes -= 8, p += 8) {
    unsigned low, high;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + 4, 4);
    low ^= crc;
    crc = tables[7][low & 255] ^ tables[6][(low >> 8) & 255] ^ tables[5][(low >> 16) & 255] ^ tables[4][low >> 24] ^
          tables[3][high & 255] ^ tables[2][(high >> 8) & 255] ^ tables[1][(high >> 16) & 255] ^ tables[0][high >> 24];
  }
  for (; bytes > 0; --bytes, ++p) crc = tables[0][(crc ^ *p) & 255] ^ (crc >> 8);
  return ~crc;
}

}  // namespace doppel
