// The words that the checker's reports share.
#pragma once

#include <cstddef>
#include <string>

#include "kernels/emulator/checker.h"

namespace doppel::emulator {

inline const char* verb(Access kind) {
  return kind == Access::write ? "writes " : kind == Access::atomic ? "updates " : "reads ";
}

inline std::string count_text(size_t bytes) {
  return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
}

}  // namespace doppel::emulator
