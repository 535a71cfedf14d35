// What the system says about memory of the host; available_memory() of runtime/buffer.h is the least of it. From texts
// and folders, so that tests can give their own.
#pragma once

#include <cstdint>
#include <string>

namespace doppel {

// Bytes that the control groups of a process still allow, UINT64_MAX when none limits it: the least of its own group
// and of those above it, since a limit holds for all below. Memory that holds files which nobody has used lately counts
// as free, as the kernel gives it back before it refuses. `groups` is the text of /proc/PID/cgroup, `root` where the
// hierarchies are mounted, /sys/fs/cgroup: versions 2 and 1.
uint64_t control_group_room(const std::string& groups, const std::string& root);

// Bytes that the limits of the process (setrlimit(2), `ulimit -v` and `ulimit -d`) still allow; UINT64_MAX when there
// are none.
uint64_t process_limit_room();

}  // namespace doppel
