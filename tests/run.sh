#!/bin/bash
# Builds everything and runs every test twice: in Release, and with AddressSanitizer and UndefinedBehaviorSanitizer.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

bash "$home/tools/setup.sh" tests

# check FOLDER NAME OPTIONS...: one configuration; prints how its tests went.
check() {
  local build=$home/$1 name=$2
  shift 2
  local log=$build/build.log
  mkdir -p "$build"
  echo "tests: building ($name)"
  if ! { cmake -S "$home" -B "$build" -G Ninja "$@" && ninja -C "$build"; } >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "tests: the build failed ($name); all of it: $log"
    return 1
  fi
  echo "tests: running ($name)"
  # Side by side: each mostly keeps one core busy. Threads that wait for work must not keep another's core busy too.
  OMP_WAIT_POLICY=passive ctest --test-dir "$build" --output-on-failure --parallel "$(nproc)"
}

failed=0
check build Release -UDOPPEL_CUDA -DCMAKE_BUILD_TYPE=Release -DDOPPEL_TESTS=ON -DDOPPEL_BENCH=ON -DDOPPEL_SANITIZE=OFF || failed=1
# CMAKE_BUILD_TYPE None: no -O2 -DNDEBUG of its own, so that -O1 and assertions hold. Leaks of third-party libraries
# that live as long as the program are not ours to mend.
check build-asan "ASan + UBSan" -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1 -DDOPPEL_TESTS=ON -DDOPPEL_BENCH=OFF \
  -DDOPPEL_SANITIZE=ON || failed=1
if [ $failed -ne 0 ]; then echo "tests: FAILED"; exit 1; fi
echo "tests: all passed, in Release and with sanitizers"
