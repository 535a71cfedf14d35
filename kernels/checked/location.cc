#include "kernels/checked/location.h"

#include <elf.h>
#include <unistd.h>

#include <bit>
#include <cstdio>
#include <cstring>
#include <memory>

#include "kernels/emulator/block.h"

// Defined by the linker.
extern "C" const char __executable_start[], etext[], end[];

namespace doppel::emulator {
namespace {

// "path/file.cu:12" or "path/file.cu:12 (discriminator 2)" without path and discriminator.
std::string tidy(std::string line) {
  line = line.substr(0, line.find_first_of(" \n"));
  const size_t slash = line.rfind('/');
  return slash == std::string::npos ? line : line.substr(slash + 1);
}

}  // namespace

Place place_of(const void* return_address) {
  return Place(static_cast<const char*>(return_address) - __executable_start);
}

Place place_of(std::source_location where) {
  static_assert(sizeof(where) == sizeof(void*));  // one pointer to a constant
  return place_of(std::bit_cast<const void*>(where));
}

bool is_static(const void* address) {
  const char* p = static_cast<const char*>(address);
  return p >= __executable_start && p < end;
}

std::string text_of(Place place) {
  const char* address = __executable_start + place;
  if (address >= etext) return text_of(std::bit_cast<std::source_location>(address));
  // addr2line comes with the assembler, so it is there where this was built. An instruction before the return address
  // belongs to the call.
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(__executable_start);
  const auto start = reinterpret_cast<uintptr_t>(__executable_start);
  const uintptr_t at = place - 1u + (header->e_type == ET_DYN ? 0 : start);
  char command[128];
  std::snprintf(command, sizeof(command), "addr2line -i -e /proc/%d/exe 0x%zx 2>/dev/null", int(getpid()), size_t(at));
  std::string first, kernel;
  if (std::FILE* pipe = popen(command, "r")) {
    char line[4096];
    while (std::fgets(line, sizeof(line), pipe)) {
      if (first.empty()) first = tidy(line);
      if (kernel.empty() && !std::strstr(line, "kernels/device/") && !std::strstr(line, "/include/"))
        kernel = tidy(line);
    }
    pclose(pipe);
  }
  if (kernel.empty()) kernel = first;
  if (kernel.empty()) std::snprintf(command, sizeof(command), "code at 0x%zx", size_t(at)), kernel = command;
  return kernel;
}

}  // namespace doppel::emulator
