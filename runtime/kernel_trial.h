// Remembers which kernel is being tried, so that one which ends the process (a card that fails, a kernel that never
// comes back and is killed) is known to the next start.
//
// A file beside the times of kernels (runtime/kernel_cache.h), "<their file>.trying", locked while its process lives:
// what lies there unlocked is of a process that has ended within a trial. Whoever finds it locked records nothing.
// Without a file, or where none can be made, nothing is recorded either; nothing here is a failure.
#pragma once

#include <optional>
#include <string>

namespace doppel {

struct Trial {
  std::string product, kernel;  // Operator::product(), to_string(KernelChoice)
  bool by_itself = false;       // it is the kernel that is taken by itself, by which others are measured
};

class KernelTrial {
 public:
  // Of the times in the file `cache`, measured on `device` with kernels of that generation: the trials of others are
  // forgotten.
  KernelTrial(const std::string& cache, const std::string& device, const std::string& generation);
  // Forgets the trial, unless it is to be left behind.
  ~KernelTrial();
  KernelTrial(const KernelTrial&) = delete;
  KernelTrial& operator=(const KernelTrial&) = delete;

  // In which the last process ended, if it did. To be asked before begin().
  std::optional<Trial> left_behind();
  // From now on `trial` is the one that a process ended in.
  void begin(const Trial& trial);
  // The device has failed: the next start shall find the trial, though this process may well go on.
  void leave_behind() { leave_ = true; }

 private:
  bool open(int flags);

  std::string path_, owner_;
  int fd_ = -1;
  bool leave_ = false;
};

}  // namespace doppel
