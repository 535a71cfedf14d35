#include "runtime/host_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace doppel {
namespace {

// The first number in a file; `otherwise` when there is none ("max", or no such file).
uint64_t read_number(const std::string& path, uint64_t otherwise) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : otherwise;
}

// The number behind `key` in a file of lines "key number"; 0 when it is not there.
uint64_t read_field(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  uint64_t value = 0;
  while (file >> name >> value)
    if (name == key) return value;
  return 0;
}

// The files of a hierarchy's version.
struct Names {
  const char *limit, *used, *unused_files;
};
constexpr Names kVersion2{"memory.max", "memory.current", "inactive_file"};
constexpr Names kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};

// Of the group at `path` ("/a/b") and all above it.
uint64_t room_along(const std::string& root, std::string path, const Names& names) {
  uint64_t room = UINT64_MAX;
  while (true) {
    const std::string folder = root + (path == "/" ? "" : path) + "/";
    const uint64_t limit = read_number(folder + names.limit, UINT64_MAX);
    if (limit != UINT64_MAX) {
      const uint64_t used = read_number(folder + names.used, 0);
      const uint64_t held = used - std::min(used, read_field(folder + "memory.stat", names.unused_files));
      room = std::min(room, limit - std::min(limit, held));
    }
    const size_t end = path.rfind('/');
    if (path.empty() || end == std::string::npos) return room;
    path.resize(end);
  }
}

// `limit` less the pages that the process has under it.
uint64_t room_under(int limit, uint64_t pages) {
  rlimit l{};
  if (getrlimit(static_cast<__rlimit_resource>(limit), &l) != 0 || l.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  const uint64_t used = pages * uint64_t(sysconf(_SC_PAGESIZE));
  return l.rlim_cur - std::min<uint64_t>(l.rlim_cur, used);
}

}  // namespace

uint64_t control_group_room(const std::string& groups, const std::string& root) {
  uint64_t room = UINT64_MAX;
  std::istringstream lines(groups);
  // "0::/path" is version 2's; "4:memory:/path" or "4:cpu,memory:/path" version 1's.
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",",
                      path = line.substr(second + 1);
    if (controllers == ",,") room = std::min(room, room_along(root, path, kVersion2));
    if (controllers.find(",memory,") != std::string::npos)
      room = std::min(room, room_along(root + "/memory", path, kVersion1));
  }
  return room;
}

uint64_t process_limit_room() {
  std::ifstream statm("/proc/self/statm");
  uint64_t size = 0, resident = 0, shared = 0, text = 0, library = 0, data = 0;
  statm >> size >> resident >> shared >> text >> library >> data;
  return std::min(room_under(RLIMIT_AS, size), room_under(RLIMIT_DATA, data));
}

}  // namespace doppel
