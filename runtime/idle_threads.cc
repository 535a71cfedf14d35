#include "runtime/idle_threads.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace doppel {

void let_idle_threads_sleep(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  // By its own path, which is the name that lists of processes show.
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = '\0';
  // Whatever becomes of the start, this is not tried twice.
  if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0) execv(path, argv);
}

}  // namespace doppel
