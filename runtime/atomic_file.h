// Files that are either whole or not there: written under a new name, synced, renamed over the old one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace doppel {

class AtomicFile {
 public:
  // Opens "<path>.new-<pid>". Throws Error naming the path when it cannot be created.
  explicit AtomicFile(std::string path);
  // Removes the unfinished file unless commit() was called.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Appends; throws Error (disk full, I/O error) naming the path.
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

  // fsync, rename over `path`, fsync of the folder. Afterwards the file is whole or an Error was thrown and the old one
  // stands.
  void commit();

  // Closes the descriptor and hands the temporary name to a writer that opens files itself (libav, for example);
  // commit() then syncs and renames what that writer left.
  const std::string& release_to_writer();

 private:
  std::string path_;
  std::string temporary_;
  int fd_ = -1;
  bool done_ = false;
};

// The whole file as a string; throws Error naming the path when it is missing or cannot be read.
std::string read_file(const std::string& path);

// AtomicFile in one call.
void write_file(const std::string& path, std::string_view content);

// CRC-32 (IEEE 802.3, as in zlib and PNG); pass the last value to go on.
unsigned crc32(const void* data, size_t bytes, unsigned crc = 0);

}  // namespace doppel
