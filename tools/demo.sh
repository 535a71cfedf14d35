#!/bin/bash
# From a clean clone to a face swap: installs what is missing, builds, runs the demo. Options go to `doppel demo`.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

bash "$home/tools/setup.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
build() {
  cmake -S "$home" -B "$home/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDOPPEL_TESTS=OFF -DDOPPEL_BENCH=OFF \
    -DDOPPEL_CUDA=OFF &&
    ninja -C "$home/build" doppel
}
echo "demo: building $home/build/doppel" >&2
if ! build >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "demo: the build failed (its last lines are above)" >&2
  exit 1
fi

rm -f "$log"
exec "$home/build/doppel" demo "$@"
