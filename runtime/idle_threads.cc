#include "runtime/idle_threads.h"

#include <sys/auxv.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <initializer_list>

namespace doppel {

void let_idle_threads_sleep(char** argv) {
  for (const char* chosen : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"})
    if (std::getenv(chosen)) return;
  // Started as an argument of the loader (ld.so PROGRAM ..), what runs is the loader's file, not ours.
  if (getauxval(AT_BASE) == 0) return;
  // By its own path, which is the name that lists of processes show.
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = '\0';
  // Some ten microseconds of looking first, in GCC's library: mostly the others are done by then (bench/busy.sh).
  // Whatever becomes of the start, this is not tried twice.
  if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0 && setenv("GOMP_SPINCOUNT", "2000", 1) == 0) execv(path, argv);
}

}  // namespace doppel
