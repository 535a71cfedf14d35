#!/bin/bash
# Mutation tests of the CUDA kernels: makes one small mistake at a time in a copy of kernels/*.cu (drops a barrier,
# shifts an index by one, swaps two fragments, skips a bounds check, forgets a split, ...; tests/mutate/mutants.py),
# builds the two programs that run the kernels on the emulator with it, and expects a test to fail.
#
#   bash tests/mutate.sh [--file F] [--max N] [--seed S] [--jobs J] [--fresh] [--list]
#
# Lists the mutants that no test noticed and ends with "killed K of N mutants"; fails below 95 %. A run that was stopped
# goes on where it was, as long as kernels and tests are the same. Mutants that change nothing but time are named in
# tests/mutate/equivalent.txt, each with its reason, and counted apart.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$home/build-mutate
for argument in "$@"; do
  case $argument in -h | --help | --list) exec python3 -B "$home/tests/mutate/run.py" "$@" ;; esac
done
mkdir -p "$build"
echo "mutate: building" >&2
if ! { cmake -S "$home" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDOPPEL_TESTS=ON -DDOPPEL_BENCH=OFF \
  -DDOPPEL_ENGINE_ONLY=ON -DDOPPEL_CUDA=OFF -DDOPPEL_SANITIZE=OFF &&
  ninja -C "$build" test_kernels test_kernels_checked; } >"$build/build.log" 2>&1; then
  tail -n 40 "$build/build.log"
  echo "mutate: the build failed; all of it: $build/build.log"
  exit 1
fi
exec python3 -B "$home/tests/mutate/run.py" --build "$build" "$@"
