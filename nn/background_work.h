// One piece of work at a time in a thread of its own: files are written in it while training goes on.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <system_error>
#include <utility>

namespace doppel {

// To be used from one thread. The destructor waits for the work; an error that nobody has asked for ends there.
class BackgroundWork {
 public:
  // As finish(), then begins `work`. Where the process may have no more threads, does it at once.
  void begin(const std::function<void()>& work) {
    finish();
    try {
      work_ = std::async(std::launch::async, work);
    } catch (const std::system_error&) {
      std::packaged_task<void()> now(work);
      work_ = now.get_future();
      now();
    }
  }

  bool busy() const { return work_.valid() && work_.wait_for(std::chrono::seconds(0)) != std::future_status::ready; }

  // Waits for the work and throws what ended it, once.
  void finish() {
    if (work_.valid()) std::exchange(work_, {}).get();
  }

 private:
  std::future<void> work_;  // one of std::async waits when it is destroyed
};

}  // namespace doppel
