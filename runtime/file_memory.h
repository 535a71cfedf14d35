// Memory of the host that lies in a file: for what is larger than the machine's memory and read a little at a time.
// What is in use stays in memory as long as there is room, the rest is read from the disk when it is touched.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace doppel {

class FileMemory {
 public:
  FileMemory() = default;
  // Zeroed. The file is in `folder`, has no name there, and is gone with this object or the process, however it ends.
  // Its room on the disk is taken now, so that writing to the memory later cannot fail for lack of it. Throws Error,
  // naming the folder and the reason, when it cannot be made or the disk has not so much room.
  FileMemory(size_t bytes, const std::string& folder);
  ~FileMemory();
  FileMemory(FileMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  FileMemory& operator=(FileMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace doppel
