#!/bin/bash
# busy.sh [ROUNDS]: training on the CPU alone and beside as many busy programs as there are cores, with threads that sleep
# while they wait for each other, as the programs set it, and with those that spin, as OpenMP does by itself
# (runtime/idle_threads.h). Samples/s of bench_step, lite 8+8 fp32, and their ratio, a line a round. Needs build/bench_step.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rounds=${1:-3}
if ! [[ $rounds =~ ^[1-9][0-9]{0,2}$ ]]; then
  echo "usage: bash bench/busy.sh [ROUNDS]" >&2
  exit 2
fi
others=()
stop() { if [ ${#others[@]} -gt 0 ]; then kill "${others[@]}" 2>/dev/null || true; others=(); fi; }
trap stop EXIT

# rate [NAME=VALUE]: samples/s under that setting, or the one that the program sets.
rate() {
  env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT "$@" "$home/build/bench_step" --arch lite --batch 8 --precision fp32 --seconds 4 --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["samples_per_s"])'
}

# round WHERE: both settings in turn.
round() {
  local sleeping spinning
  sleeping=$(rate)
  spinning=$(rate GOMP_SPINCOUNT=300000)
  awk -v w="$1" -v a="$sleeping" -v b="$spinning" 'BEGIN { printf "%-7s sleeping %7.1f  spinning %7.1f  ratio %.2f\n", w, a, b, a / b }'
}

for ((i = 0; i < rounds; ++i)); do
  round alone
  for ((k = 0; k < $(nproc --all); ++k)); do
    # Not for ever, whatever ends this script.
    timeout 60 sh -c 'while :; do :; done' &
    others+=($!)
  done
  round beside
  stop
done
