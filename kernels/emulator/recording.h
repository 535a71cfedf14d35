// The emulator's twin of a CUDA graph: while one is recorded, the launches and copies of this thread are kept and not
// done. What they were given by value is kept as it was then, as on a card, so that a number of the host's that should
// have been on the device stays what it was in the first step, and tests see it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/emulator/execute.h"

namespace doppel::emulator {

// What a launch asked for.
struct RecordedLaunch {
  std::string kernel;  // as DOPPEL_KERNEL names it: "gather_kernel<T, Forward>"
  dim3 grid, block;
  size_t shared;  // bytes of dynamic shared memory
};

class Recording {
 public:
  // Records what `body` gives the device. Where CUDA refuses it, memory or waiting, `body` ends in std::logic_error.
  explicit Recording(const std::function<void()>& body);
  // Does it all, in order. Not while another graph is recorded: std::logic_error.
  void launch() const;
  // Its launches, in order, without the copies between them.
  const std::vector<RecordedLaunch>& launches() const { return launches_; }

 private:
  friend bool recorded(const std::function<void()>& work);
  friend bool recorded(const Launch& launch, const std::function<std::shared_ptr<void>()>& copy_call);
  std::vector<std::function<void()>> work_;
  std::vector<RecordedLaunch> launches_;
};

// Whether this thread records now. If so, `work` has been kept for later.
bool recorded(const std::function<void()>& work);
// The same for a launch whose arguments are those of `call`, which the recording then shares.
bool recorded(const Launch& launch, const std::function<std::shared_ptr<void>()>& copy_call);
// Throws std::logic_error that names `what` when this thread records: it cannot be part of a graph.
void refuse_in_recording(const char* what);

}  // namespace doppel::emulator
