// How much memory the system leaves to a process.
#include "runtime/host_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "runtime/buffer.h"

using namespace doppel;

namespace {

namespace fs = std::filesystem;

// A hierarchy of control groups in a folder of its own.
struct Groups {
  std::string root = (fs::temp_directory_path() / ("doppel-groups-" + std::to_string(getpid()))).string();
  ~Groups() { fs::remove_all(root); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(root + path).parent_path());
    std::ofstream(root + path) << text;
  }
};

}  // namespace

TEST_CASE("the room of control groups is the least of the process's own and of those above", "[memory]") {
  const Groups groups;
  CHECK(control_group_room("", groups.root) == UINT64_MAX);
  CHECK(control_group_room("0::/\n", groups.root) == UINT64_MAX);
  CHECK(control_group_room("not of this form\n", groups.root) == UINT64_MAX);

  groups.write("/a/b/memory.max", "max\n");
  groups.write("/a/b/memory.current", "300\n");
  CHECK(control_group_room("0::/a/b\n", groups.root) == UINT64_MAX);
  groups.write("/a/memory.max", "1000\n");
  groups.write("/a/memory.current", "400\n");
  CHECK(control_group_room("0::/a/b\n", groups.root) == 600);
  CHECK(control_group_room("0::/other\n", groups.root) == UINT64_MAX);
  groups.write("/a/memory.stat", "anon 150\ninactive_file 250\nactive_file 7\n");
  CHECK(control_group_room("0::/a/b\n", groups.root) == 850);
  groups.write("/a/b/memory.max", "500\n");
  CHECK(control_group_room("0::/a/b\n", groups.root) == 200);
  groups.write("/memory.max", "90\n");  // what a container sees of its own group
  groups.write("/memory.current", "100\n");
  CHECK(control_group_room("0::/a/b\n", groups.root) == 0);
  CHECK(control_group_room("0::/\n", groups.root) == 0);
}

TEST_CASE("the room of control groups of version 1", "[memory]") {
  const Groups groups;
  groups.write("/memory/a/memory.limit_in_bytes", "1000\n");
  groups.write("/memory/a/memory.usage_in_bytes", "400\n");
  groups.write("/memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 100\n");
  CHECK(control_group_room("9:cpuset:/a\n4:memory:/a\n", groups.root) == 700);
  CHECK(control_group_room("9:cpuset:/a\n", groups.root) == UINT64_MAX);
}

TEST_CASE("memory that the process may not have is not called available", "[memory]") {
  for (const auto limit : {RLIMIT_AS, RLIMIT_DATA}) {
    rlimit before{};
    REQUIRE(getrlimit(limit, &before) == 0);
    std::ifstream statm("/proc/self/statm");
    uint64_t size = 0;
    statm >> size;
    const uint64_t most = size * uint64_t(sysconf(_SC_PAGESIZE)) + (uint64_t(1) << 30);
    if (before.rlim_max != RLIM_INFINITY && before.rlim_max < most) continue;
    rlimit l = before;
    l.rlim_cur = most;
    REQUIRE(setrlimit(limit, &l) == 0);
    const uint64_t room = process_limit_room();
    const size_t available = available_memory();
    REQUIRE(setrlimit(limit, &before) == 0);
    CHECK(room <= most);
    CHECK(available <= room + (1 << 20));
    if (limit == RLIMIT_AS) {
      CHECK(room <= uint64_t(1) << 30);
      CHECK(room >= uint64_t(1) << 29);
    }
  }
}
