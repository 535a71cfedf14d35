#include "runtime/kernel_trial.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

namespace doppel {

KernelTrial::KernelTrial(const std::string& cache, const std::string& device, const std::string& generation)
    : path_(cache.empty() ? "" : cache + ".trying"), owner_(device + " " + generation) {}

KernelTrial::~KernelTrial() {
  if (fd_ < 0) return;
  if (!leave_) unlink(path_.c_str());
  close(fd_);  // and so unlocks
}

bool KernelTrial::open(int flags) {
  if (fd_ >= 0) return true;
  if (path_.empty()) return false;
  fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | flags, 0644);
  if (fd_ < 0) return false;
  if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return true;
  close(fd_);
  fd_ = -1;
  return false;
}

std::optional<Trial> KernelTrial::left_behind() {
  if (!open(0)) return std::nullopt;
  std::string text(1 << 12, '\0');
  const ssize_t bytes = pread(fd_, text.data(), text.size(), 0);
  text.resize(bytes > 0 ? size_t(bytes) : 0);
  std::istringstream lines(text);
  std::string owner, whose;
  Trial trial;
  if (!std::getline(lines, owner) || owner != owner_ || !std::getline(lines, trial.product) ||
      !std::getline(lines, trial.kernel) || !std::getline(lines, whose))
    return std::nullopt;
  trial.by_itself = whose == "by itself";
  return trial;
}

// Not synced: it is to outlive the process, not the machine.
void KernelTrial::begin(const Trial& trial) {
  std::error_code error;
  if (fd_ < 0 && !path_.empty()) std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
  if (!open(O_CREAT)) return;
  const std::string text =
      owner_ + "\n" + trial.product + "\n" + trial.kernel + "\n" + (trial.by_itself ? "by itself" : "chosen") + "\n";
  if (ftruncate(fd_, 0) != 0 || pwrite(fd_, text.data(), text.size(), 0) != ssize_t(text.size()))
    path_.clear();  // a full disk; what is there is cut off and says nothing
}

}  // namespace doppel
