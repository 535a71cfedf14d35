#!/bin/bash
# Everything that wants a card, in one command:
#
#   bash bench/gpu.sh OUT [--seconds N] [--commit ID] [--rehearse]
#
# builds the engine rooms for this machine's card alone, runs the tests of kernels and steps on it, some of them under
# compute-sanitizer, all benches, and PyTorch taking turns with ours. It writes OUT/<card>-<date>.json and .md, build.log,
# parts.log and, where kernels were timed, kernels.json with their times, and prints the table last. A part that fails, or
# takes too long, costs its own row and no other; the exit code is 0 when all parts did what they should. It ends within
# N seconds (470), give or take some.
#
# Needed: a C++ compiler, CUDA's toolkit, CMake, Python; for the peers PyTorch; for the tests Catch2, installed or carried
# along (bench/carry.sh). oneDNN is not used.
#
# --commit: what to call the source where it is no git repository. --rehearse: the same parts on the emulator and the
# processor, with little to do each, so that all but the card has been tried.
set -uo pipefail
export LC_ALL=C # numbers, sorting and the compilers' words are the same everywhere
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  echo "usage: bash bench/gpu.sh OUT [--seconds N] [--commit ID] [--rehearse]" >&2
  exit 2
}
out= rehearse= total=470 commit=
while [ $# -gt 0 ]; do
  case $1 in
    --rehearse) rehearse=1 ;;
    --seconds) [ $# -gt 1 ] || usage; total=$2; shift ;;
    --commit) [ $# -gt 1 ] || usage; commit=$2; shift ;;
    -*) usage ;;
    *) [ -z "$out" ] || usage; out=$1 ;;
  esac
  shift
done
[ -n "$out" ] || usage
[[ $total =~ ^[0-9]+$ ]] || usage

if [ $rehearse ]; then device=emulator; else device=cuda; fi
. "$home/bench/engine.sh"
state=$build/parts # what the report is made of
rm -rf "$state"
mkdir -p "$out" "$state"
out=$(cd "$out" && pwd)
rm -f "$out"/{build.log,parts.log,kernels.json}

# ---- parts -----------------------------------------------------------------------------------------------------------

report() { python3 "$home/bench/gpu_report.py" "$state" "$out" "$@"; }

# row NAME STATUS SECONDS NOTE: one row of the table.
row() {
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$(tr '\t\n' '  ' <<<"$4" | cut -c1-200)" >>"$state/parts.tsv"
  echo "gpu: $1: $2, $3 s. $4" >&2
  report >/dev/null
}

# part NAME LIMIT LOG STDOUT COMMAND...: runs the command for at most LIMIT seconds, and no longer than there is time.
# Its output goes to the log; its stdout to a file of the state instead, unless STDOUT is "-".
part() {
  local name=$1 limit=$2 log=$3 stdout=$4 start=$SECONDS left=$((total - SECONDS)) text code status
  shift 4
  if [ $left -lt 5 ]; then row "$name" "did not run" 0 "the time was up"; return; fi
  if [ $limit -gt $left ]; then limit=$left; fi
  if [ "$stdout" = - ]; then stdout=/dev/null; else stdout=$state/$stdout; fi
  text=$state/$name.log
  if [ "$stdout" = /dev/null ]; then
    timeout -k 5 "$limit" "$@" >"$text" 2>&1 </dev/null
  else
    timeout -k 5 "$limit" "$@" >"$stdout" 2>"$text" </dev/null
  fi
  code=$?
  { echo "==== $name: $*"; cat "$text"; echo "==== $name: exit code $code"; } >>"$out/$log"
  case $code in
    0) status=passed ;;
    124 | 137) status="stopped after $limit s" ;;
    *) status="failed ($code)" ;;
  esac
  row "$name" "$status" $((SECONDS - start)) "$(summary "$text" $code)"
}

# The line of a log that says most: the tests' sum, the sanitizer's, or the first error.
summary() {
  local line
  line=$(grep -aE '^All tests passed|^test cases:|ERROR SUMMARY|RACECHECK SUMMARY' "$1" | tail -n 2 | sed 's/=* *//' | paste -sd ' ')
  if [ "$2" -ne 0 ] && [ -z "$line" ]; then
    line=$(grep -aiE '(error|failed|cannot|exception)' "$1" | head -n 1)
    [ -n "$line" ] || line=$(tail -n 1 "$1")
  fi
  # With -d yes each test says its time when it is over.
  local tests
  tests=$(grep -acE '^[0-9.]+ s: ' "$1")
  if [ "$2" -eq 124 ] && [ "$tests" -gt 0 ]; then line="$tests tests had been done. $line"; fi
  echo "$line"
}

# needs NAME FILE: whether the file is there; else the row says so.
needs() {
  if [ -e "$2" ]; then return 0; fi
  row "$1" "did not run" 0 "there is no ${2#"$home"/}: $why"
  return 1
}

# ---- what is here ----------------------------------------------------------------------------------------------------

find_card gpu emulator
if [ -z "$commit" ]; then
  commit=$(git -C "$home" describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
fi
# A Python that has PyTorch, for the peers.
torch_python=
for python in python3 /usr/bin/python3; do
  if "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' 2>/dev/null; then
    torch_python=$python
    break
  fi
done
{
  printf 'device\t%s\n' "$name"
  printf 'driver\t%s\n' "$(card driver_version)"
  printf 'memory\t%s\n' "$(card memory.total)"
  printf 'cuda\t%s\n' "$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')"
  printf 'compiler\t%s\n' "$(c++ --version 2>/dev/null | head -n 1)"
  printf 'cores\t%s\n' "$cores"
  printf 'commit\t%s\n' "$commit"
  printf 'date\t%s\n' "$(date -u +%Y-%m-%d)"
} >"$state/machine.tsv"

# ---- build -----------------------------------------------------------------------------------------------------------

targets=(bench_step bench_kernels)
tests=(test_kernels test_runtime test_nn)
if [ $rehearse ]; then tests+=(test_emulator); else tests+=(test_card); fi
engine_options "$out/build.log"
export CMAKE_BUILD_PARALLEL_LEVEL=$cores
why="see build.log" # a program may be missing
if configure -DDOPPEL_TESTS=ON >>"$out/build.log" 2>&1; then
  targets+=("${tests[@]}")
elif configure -DDOPPEL_TESTS=OFF >>"$out/build.log" 2>&1; then
  why="no Catch2 here; where its package is: bash bench/carry.sh"
fi
keep_going=(-k)
if [ -e "$build/build.ninja" ]; then keep_going=(-k 0); fi
part build $((total / 2)) build.log - cmake --build "$build" --target "${targets[@]}" -- "${keep_going[@]}"

# ---- tests -----------------------------------------------------------------------------------------------------------

# Each test says its time; a filter that fits no test is a failure.
catch=(-d yes -w NoTests)
# Side by side, each on a share of the cores.
export OMP_NUM_THREADS=$((cores / 4 > 0 ? cores / 4 : 1))
check() { # NAME PROGRAM LIMIT LOG COMMAND...
  local name=$1 program=$2 limit=$3 log=$4
  shift 4
  needs "$name" "$build/tests/$program" && part "$name" "$limit" "$log" - "$@" &
}
# sanitize TOOL PROGRAM FILTER: what runs on the card only, under one of the sanitizer's tools.
sanitize() {
  if [ $rehearse ]; then
    check "$1" "$2" 60 parts.log env DOPPEL_TEST_BACKENDS=emulator "$build/tests/$2" "${catch[@]}" "$3"
  elif command -v compute-sanitizer >/dev/null; then
    check "$1" "$2" 100 parts.log env DOPPEL_TEST_BACKENDS=cuda compute-sanitizer --tool "$1" \
      --error-exitcode 9 --print-limit 20 "$build/tests/$2" "${catch[@]}" "$3"
  else
    row "$1" "did not run" 0 "there is no compute-sanitizer"
  fi
}
# Left out: what is long on the CPU without oneDNN and says little of a card (finite differences, training against
# PyTorch's figures, memory plans). ctest runs it.
runtime_tests="[device],[faults],[program],[plan],[tuner],[kernel_timer],[recompute][emulator]"
nn_tests="[emulator]~[recompute]" patience=100
if [ $rehearse ]; then
  patience=200
  check test_instructions test_emulator 60 parts.log "$build/tests/test_emulator" "${catch[@]}" "mma*"
  # All of them take the emulator minutes.
  check test_kernels test_kernels 60 parts.log "$build/tests/test_kernels" "${catch[@]}" "[product],[pixel_shuffle],[rms_norm]"
else
  check test_instructions test_card 60 parts.log "$build/tests/test_card" "${catch[@]}"
  check test_kernels test_kernels 100 parts.log env DOPPEL_TEST_BACKENDS=cuda "$build/tests/test_kernels" "${catch[@]}" \
    "~*finite differences"
fi
check test_runtime test_runtime $patience parts.log "$build/tests/test_runtime" "${catch[@]}" "$runtime_tests"
step="a training step through the CUDA kernels*"
# Shapes are small, except those against the libraries and those that only make many blocks.
sanitized="~[vendor]~*finite differences~global_norm agrees*~first_nonfinite finds*"
if [ $rehearse ]; then
  check test_nn test_nn $patience parts.log "$build/tests/test_nn" "${catch[@]}" "$nn_tests"
  wait
  sanitized="[finish]"
else
  # Beside the card only the processor, its yardstick; the emulator has its turn without a card.
  check test_nn test_nn $patience parts.log env DOPPEL_TEST_BACKENDS=cpu,cuda "$build/tests/test_nn" "${catch[@]}" \
    "$nn_tests~[self_check]~[tuner],every device that works*"
fi
for tool in memcheck racecheck synccheck; do sanitize $tool test_kernels "$sanitized"; done
# The kernels' tests use managed memory, of which initcheck does not see what the host wrote; a training step has its own.
sanitize initcheck test_nn "$step"
wait
unset OMP_NUM_THREADS

why="see build.log"

# ---- benches, one at a time ------------------------------------------------------------------------------------------

peer() { # NAME LIMIT OPTIONS...
  local name=$1 limit=$2
  shift 2
  if [ -z "$torch_python" ]; then row "$name" "did not run" 0 "there is no Python with PyTorch"; return; fi
  needs "$name" "$build/bench_step" || return
  part "$name" "$limit" parts.log "$name.json" "$torch_python" "$home/bench/peers/pytorch_step.py" \
    --program "$build/bench_step" --kernel-cache "$state/kernels.json" --json "$@"
}
peer_kernels() { # LIMIT OPTIONS...
  local name=peers_kernels limit=$1
  shift
  needs $name "$build/bench_kernels" || return
  if [ -z "$torch_python" ]; then row $name "did not run" 0 "there is no Python with PyTorch"; return; fi
  part $name "$limit" parts.log $name.json "$torch_python" "$home/bench/peers/pytorch_kernels.py" \
    --program "$build/bench_kernels" --json "$@"
}
if [ $rehearse ]; then
  if needs bench_step "$build/bench_step"; then
    part bench_step 150 parts.log bench_step.json "$build/bench_step" --device $device --arch lite --precision bf16 \
      --batch 1 --seconds 0.001 --json --profile --kernel-cache "$state/kernels.json"
  fi
  if needs bench_kernels "$build/bench_kernels"; then
    part bench_kernels 60 parts.log bench_kernels.json "$build/bench_kernels" --device $device --arch lite \
      --precision bf16 --batch 1 --only elements --json
  fi
  peer_kernels 60 --device cpu --rehearse --arch lite --batch 1
  peer peers_lite 150 --device cpu --arch lite --precision fp32 --batch 1 --rounds 1 --seconds 0.1
  if needs bench_choices "$build/bench_kernels"; then
    part bench_choices 60 parts.log bench_choices.json "$build/bench_kernels" --device $device --arch lite \
      --precision bf16 --batch 1 --choices --only "decoder.out wgrad" --json
  fi
  if needs bench_df_ud "$build/bench_kernels"; then
    part bench_df_ud 60 parts.log bench_df_ud.json "$build/bench_kernels" --device $device --arch df-ud256 \
      --precision bf16 --batch 1 --only inter.dense1 --json
  fi
else
  if needs bench_step "$build/bench_step"; then
    part bench_step 90 parts.log bench_step.json "$build/bench_step" --device $device --seconds 1.5 --json --profile \
      --kernel-cache "$state/kernels.json"
  fi
  peer peers_original 130 --device cuda --arch original --precision bf16 --rounds 3 --seconds 1.5 \
    --compile default --compile-seconds 45
  if needs bench_kernels "$build/bench_kernels"; then
    part bench_kernels 70 parts.log bench_kernels.json "$build/bench_kernels" --seconds 0.02 --json
  fi
  peer_kernels 100 --device cuda --arch original --arch df-ud256 --arch lite
  if needs bench_choices "$build/bench_kernels"; then
    part bench_choices 50 parts.log bench_choices.json "$build/bench_kernels" --arch original --precision bf16 \
      --choices --seconds 0.01 --json
  fi
  if needs bench_df_ud "$build/bench_kernels"; then
    part bench_df_ud 50 parts.log bench_df_ud.json "$build/bench_kernels" --arch df-ud256 --precision bf16 \
      --seconds 0.02 --json
  fi
  peer peers_lite 100 --device cuda --arch lite --precision bf16 --rounds 3 --seconds 1 --compile none
fi

# ---- report ----------------------------------------------------------------------------------------------------------

if [ -e "$state/kernels.json" ]; then cp "$state/kernels.json" "$out"; fi
report --print || cat "$state/parts.tsv"
! cut -f2 "$state/parts.tsv" | grep -qv '^passed$'
