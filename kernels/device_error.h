// What is thrown when a device fails, as against a request that it cannot take.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

namespace doppel {

// A call of the CUDA runtime failed. That may be the work of an earlier call (a card reports what its kernels did when
// the host next asks), and all later calls may fail as well: whoever catches it can rely on nothing that is on the
// device, and on everything that is not.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "CUDA: unspecified launch failure: cudaStreamSynchronize(stream) (cuda_streams.cc:123)".
inline std::string failure_text(const std::string& what, const std::string& expression, const char* file, int line) {
  const char* name = std::strrchr(file, '/');
  return "CUDA: " + what + ": " + expression + " (" + (name ? name + 1 : file) + ":" + std::to_string(line) + ")";
}

}  // namespace doppel
