#include "runtime/file_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "runtime/error.h"

namespace doppel {

FileMemory::FileMemory(size_t bytes, const std::string& folder) : bytes_(bytes) {
  if (bytes == 0) return;
  const auto fail = [&](const char* what, int error) {
    return Error(folder + ": " + what + " for " + std::to_string(bytes >> 20) + " MiB: " + std::strerror(error) +
                 "; make room there, or choose a folder on a larger disk");
  };
  std::string path = folder + "/.memory-XXXXXX";
  const int file = ::mkostemp(path.data(), O_CLOEXEC);
  if (file < 0) throw fail("cannot create a file", errno);
  ::unlink(path.c_str());
  int error = 0;
  do error = ::posix_fallocate(file, 0, off_t(bytes));
  while (error == EINTR);
  void* p = MAP_FAILED;
  if (error == 0) {
    p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (p == MAP_FAILED) error = errno;
  }
  ::close(file);  // the mapping holds it
  if (error != 0) throw fail("there is no room", error);
  data_ = p;
}

FileMemory::~FileMemory() {
  if (data_) ::munmap(data_, bytes_);
}

}  // namespace doppel
