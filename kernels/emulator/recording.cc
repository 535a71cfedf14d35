#include "kernels/emulator/recording.h"

#include <stdexcept>
#include <string>

namespace doppel::emulator {
namespace {

thread_local Recording* current = nullptr;

}  // namespace

Recording::Recording(const std::function<void()>& body) {
  if (current) throw std::logic_error("a graph is recorded while another one is");
  struct End {
    ~End() { current = nullptr; }
  } end;
  current = this;
  body();
}

void Recording::launch() const {
  refuse_in_recording("a graph is launched");
  for (const auto& work : work_) work();
}

bool recorded(const std::function<void()>& work) {
  if (current) current->work_.push_back(work);
  return current != nullptr;
}

bool recorded(const Launch& launch, const std::function<std::shared_ptr<void>()>& copy_call) {
  if (!current) return false;
  current->launches_.push_back({launch.kernel, launch.grid, launch.block, launch.shared});
  // Pointers lie on the caller's stack, as the arguments do.
  const std::vector<Pointer> pointers(launch.pointers, launch.pointers + launch.pointer_count);
  return recorded([launch, pointers, call = copy_call()] {
    Launch later = launch;
    later.arguments = call.get();
    later.pointers = pointers.data();
    execute(later);
  });
}

void refuse_in_recording(const char* what) {
  if (current) throw std::logic_error(std::string(what) + " while a graph is recorded");
}

}  // namespace doppel::emulator
