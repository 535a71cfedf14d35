#!/bin/bash
# Everything that wants a card, in one command:
#
#   bash bench/gpu.sh OUT [--seconds N] [--commit ID] [--only PART,PART..] [--rehearse]
#
# builds the engine rooms for this machine's card alone, runs the tests of kernels and steps on it, all benches, PyTorch
# taking turns with ours, and the tests under compute-sanitizer, the most valuable first. It writes
# OUT/<card>-<date>.json and .md, build.log, parts.log and, where kernels were timed, kernels.json with their times, and
# prints the table last. A part that fails, or takes too long, costs its own row and no other; the exit code is 0 when
# all parts did what they should. It ends within N seconds (470: eight minutes), give or take some.
#
# Needed: a C++ compiler, CUDA's toolkit, CMake, Python; for the peers PyTorch; for the tests Catch2, installed or carried
# along (bench/carry.sh). oneDNN is not used.
#
# --commit: what to call the source where it is no git repository. --only: the parts by the names of their rows, and the
# build; what earlier parts of the same machine left stays in the report. --rehearse: the same parts on the emulator and
# the processor, with little to do each, so that all but the card has been tried.
set -uo pipefail
export LC_ALL=C # numbers, sorting and the compilers' words are the same everywhere
# As the programs would set it by starting themselves again, which checkers that follow one process need not see.
export OMP_WAIT_POLICY=passive
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  echo "usage: bash bench/gpu.sh OUT [--seconds N] [--commit ID] [--only PART,PART..] [--rehearse]" >&2
  exit 2
}
out= rehearse= total=470 commit= only=
while [ $# -gt 0 ]; do
  case $1 in
    --rehearse) rehearse=1 ;;
    --seconds | --commit | --only)
      [ $# -gt 1 ] || usage
      case $1 in --seconds) total=$2 ;; --commit) commit=$2 ;; --only) only=build,$2 ;; esac
      shift
      ;;
    -*) usage ;;
    *) [ -z "$out" ] || usage; out=$1 ;;
  esac
  shift
done
[ -n "$out" ] || usage
[[ $total =~ ^[0-9]+$ && $only =~ ^[a-z_,]*$ ]] || usage

if [ $rehearse ]; then device=emulator; else device=cuda; fi
. "$home/bench/engine.sh"
state=$build/parts # what the report is made of
if [ -z "$only" ]; then rm -rf "$state"; fi
mkdir -p "$out" "$state" || exit 1
out=$(cd "$out" && pwd)
for file in parts left_out; do # but for the rows that come anew
  awk -F '\t' -v only=",$only," '{ part = $1; sub(/_without_wgmma$|_in_turn$/, "", part) }
    only != ",," && !index(only, "," $1 ",") && !index(only, "," part ",")' "$state/$file.tsv" >"$state/$file.new" 2>/dev/null
  mv "$state/$file.new" "$state/$file.tsv"
done
for part in ${only//,/ }; do rm -f "$state/$part"{,_without_wgmma,_in_turn}.json; done
if [ -z "$only" ]; then rm -f "$out"/{build.log,parts.log,kernels.json}; fi
. "$home/bench/gpu_parts.sh"

# ---- what is here ----------------------------------------------------------------------------------------------------

find_card gpu emulator
if [ -z "$commit" ]; then
  # Without git a name by which at least two runs can be told apart.
  commit=$(git -C "$home" describe --always --dirty --abbrev=12 2>/dev/null) ||
    commit=files-$(cd "$home" && find CMakeLists.txt cmake kernels runtime nn bench/*.* -type f -print0 | sort -z | xargs -0 sha1sum | sha1sum | cut -c1-12)
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

# Each test says its time; a filter that fits no test is a failure. After a card's first failure a process has no card
# any more: hence a row of its own for what may fail first.
catch=(-d yes -w NoTests)
# Side by side, each on a share of the cores.
share=$((cores / 4 > 0 ? cores / 4 : 1))
export OMP_NUM_THREADS=$share
check() { # NAME PROGRAM LIMIT FILTER [ENVIRONMENT...]
  local name=$1 program=$build/tests/$2 limit=$3 filter=$4
  shift 4
  needs "$name" "$program" && part "$name" "$limit" parts.log - env "$@" "$program" "${catch[@]}" "$filter" &
}
# Left out: what is long on the CPU without oneDNN and says little of a card (finite differences, training against
# PyTorch's figures, memory plans). ctest runs it.
runtime_tests="[device],[faults],[program],[plan],[tuner],[kernel_timer],[recompute][emulator]"
nn_tests="[emulator]~[recompute]"
step="a training step through the CUDA kernels*"
if [ $rehearse ]; then
  # All of the kernels' take the emulator minutes.
  check test_instructions test_emulator 60 "mma*"
  check test_hopper test_emulator 60 "[hopper]"
  check test_kernels test_kernels 60 "[product],[pixel_shuffle],[rms_norm]"
  check test_wgmma test_kernels 60 "conv2d by wgmma: where it is offered"
  check test_cluster test_emulator 60 "[cluster]"
  check test_pairs test_kernels 60 "conv2d by pairs: where they are offered"
  check test_early_start test_emulator 60 "a kernel that ends without waiting*"
  check test_runtime test_runtime 200 "$runtime_tests"
  check test_nn test_nn 200 "$nn_tests"
else
  # Each says whose fault it is: early starts are left out where something else is on trial.
  cuda=DOPPEL_TEST_BACKENDS=cuda
  check test_instructions test_card 60 "~[hopper]~[cluster]"
  check test_hopper test_card 60 "[hopper]"
  check test_cluster test_card 60 "[cluster]"
  check test_kernels test_kernels 100 "~[wgmma]~[cluster]~[vendor]~*finite differences" $cuda DOPPEL_WITHOUT=wgmma,early_start
  check test_wgmma test_kernels 100 "[wgmma],[choice]" $cuda DOPPEL_WITHOUT=clusters,early_start
  check test_pairs test_kernels 100 "[cluster]" $cuda DOPPEL_WITHOUT=early_start
  check test_vendor test_kernels 60 "[vendor]" $cuda DOPPEL_WITHOUT=early_start
  check test_runtime test_runtime 100 "$runtime_tests" DOPPEL_WITHOUT=wgmma,early_start
  # Beside the card only the processor, its yardstick; the emulator has its turn without a card.
  check test_nn test_nn 100 "$nn_tests~[self_check]~[tuner],every device that works*" DOPPEL_TEST_BACKENDS=cpu,cuda \
    DOPPEL_WITHOUT=early_start
  check test_early_start test_nn 60 "$step" DOPPEL_TEST_BACKENDS=cpu,cuda
fi
wait
unset OMP_NUM_THREADS
why="see build.log"

# ---- benches, one at a time ------------------------------------------------------------------------------------------

bench() { # NAME LIMIT PROGRAM OPTIONS...
  local name=$1 limit=$2 program=$build/$3
  shift 3
  needs "$name" "$program" && part "$name" "$limit" parts.log "$name.json" "$program" --json "$@"
}
peer() { # NAME LIMIT OPTIONS...
  local name=$1 limit=$2
  wanted "$name" || return
  shift 2
  if [ -z "$torch_python" ]; then row "$name" "did not run" 0 "there is no Python with PyTorch"; return; fi
  needs "$name" "$build/bench_step" || return
  part "$name" "$limit" parts.log "$name.json" "$torch_python" "$home/bench/peers/pytorch_step.py" \
    --program "$build/bench_step" --kernel-cache "$kernels" --json "$@"
}
peer_kernels() { # NAME LIMIT OPTIONS...
  local name=$1 limit=$2
  shift 2
  needs "$name" "$build/bench_kernels" || return
  if [ -z "$torch_python" ]; then row "$name" "did not run" 0 "there is no Python with PyTorch"; return; fi
  part "$name" "$limit" parts.log "$name.json" "$torch_python" "$home/bench/peers/pytorch_kernels.py" \
    --program "$build/bench_kernels" --json "$@"
}
# leave_out PART: of what comes from here on; keeps PART: whether it is in use.
leave_out() { export DOPPEL_WITHOUT=$1${DOPPEL_WITHOUT:+,$DOPPEL_WITHOUT}; }
keeps() { [[ ,${DOPPEL_WITHOUT:-}, != *,$1,* ]]; }
# without_wgmma COMMAND NAME...: the same part without the kernels that are the likeliest to fail, by a name that says so.
without_wgmma() {
  local command=$1 name=$2
  shift 2
  DOPPEL_WITHOUT=wgmma${DOPPEL_WITHOUT:+,$DOPPEL_WITHOUT} "$command" "${name}_without_wgmma" "$@"
}
# Times of kernels. A start that early starts have ended blames the kernel under way: those without them begin anew.
kernels=$state/kernels.json
if [ $rehearse ]; then
  small=(--device $device --arch lite --precision bf16 --batch 1)
  bench bench_step 300 bench_step "${small[@]}" --seconds 0.001 --profile --kernel-cache "$kernels"
  peer peers_lite 300 --device cpu --arch lite --precision fp32 --batch 1 --rounds 1 --seconds 0.1
  bench bench_choices 60 bench_kernels "${small[@]}" --choices --only "decoder.out wgrad"
  without_wgmma bench bench_choices 60 bench_kernels "${small[@]}" --choices --only "decoder.out wgrad"
  bench bench_kernels 60 bench_kernels "${small[@]}" --only elements
  peer_kernels peers_kernels 60 --device cpu --rehearse --arch lite --batch 1
  bench bench_df_ud 60 bench_kernels --device $device --arch df-ud256 --precision bf16 --batch 1 --choices --only "inter.dense1 dense wgrad"
else
  step_options=(--device $device --seconds 1.5 --profile --kernel-cache)
  choice_options=(--arch original --precision bf16 --choices --seconds 0.01)
  if failed test_early_start; then leave_out early_start; fi
  # Where these kernels failed their tests, the figures without them are made sure of first. Pairs of blocks are left
  # out by their own tests alone.
  if failed test_hopper || failed test_wgmma; then
    without_wgmma bench bench_step 90 bench_step "${step_options[@]}" "$kernels"
    bench bench_step 90 bench_step "${step_options[@]}" "$kernels"
    leave_out wgmma
  else
    if failed test_cluster || failed test_pairs; then leave_out clusters; fi
    bench bench_step 90 bench_step "${step_options[@]}" "$kernels"
    last=bench_step
    if failed bench_step && keeps early_start; then
      leave_out early_start
      kernels=$state/kernels_in_turn.json last=bench_step_in_turn
      bench bench_step_in_turn 60 bench_step "${step_options[@]}" "$kernels"
    fi
    if failed $last; then
      without_wgmma bench bench_step 90 bench_step "${step_options[@]}" "$kernels"
      leave_out wgmma
    fi
  fi
  peer peers_original 130 --device cuda --arch original --precision bf16 --rounds 3 --seconds 1.5 \
    --compile default --compile-seconds 45
  bench bench_choices 50 bench_kernels "${choice_options[@]}"
  if keeps wgmma && failed bench_choices; then
    without_wgmma bench bench_choices 50 bench_kernels "${choice_options[@]}"
    leave_out wgmma # bench_df_ud chooses among them too
  fi
fi

# ---- tests under compute-sanitizer -----------------------------------------------------------------------------------

sanitize() { # NAME TOOL PROGRAM FILTER [ENVIRONMENT...]
  local name=$1 tool=$2 program=$build/tests/$3 filter=$4
  shift 4
  if [ $rehearse ]; then
    check "$name" "$(basename "$program")" 60 "$filter" DOPPEL_TEST_BACKENDS=emulator "$@"
  elif command -v compute-sanitizer >/dev/null; then
    needs "$name" "$program" && part "$name" 80 parts.log - env DOPPEL_TEST_BACKENDS=cuda "$@" compute-sanitizer --tool "$tool" \
      --error-exitcode 9 --print-limit 20 "$program" "${catch[@]}" "$filter" &
  else
    wanted "$name" && row "$name" "not available here" 0 "there is no compute-sanitizer"
  fi
}
without=${DOPPEL_WITHOUT:-} # of benches, not of tests
unset DOPPEL_WITHOUT
export OMP_NUM_THREADS=$share # side by side again
# Shapes are small, except those against the libraries and those that only make many blocks.
sanitized="~[wgmma]~[cluster]~[vendor]~*finite differences~global_norm agrees*~first_nonfinite finds*"
if [ $rehearse ]; then sanitized="[finish]"; fi
for tool in memcheck racecheck synccheck; do
  sanitize $tool $tool test_kernels "$sanitized" DOPPEL_WITHOUT=wgmma,early_start
  if [ ! $rehearse ]; then sanitize ${tool}_wgmma $tool test_kernels "[wgmma]~*several tiles for each multiprocessor*" DOPPEL_WITHOUT=early_start; fi
done
if [ ! $rehearse ]; then sanitize memcheck_pairs memcheck test_kernels "[cluster]~*several tiles for each pair*" DOPPEL_WITHOUT=early_start; fi
# The kernels' tests use managed memory, of which initcheck does not see what the host wrote; a training step has its
# own, which DOPPEL_DIRTY_MEMORY leaves unwritten (runtime/buffer.h).
sanitize initcheck initcheck test_nn "$step" DOPPEL_DIRTY_MEMORY=1 DOPPEL_WITHOUT=early_start
# And whether it would find anything.
if [ $rehearse ]; then
  check initcheck_finds test_runtime 60 "memory that is written before it is read*"
elif command -v compute-sanitizer >/dev/null; then
  needs initcheck_finds "$build/tests/test_runtime" && part initcheck_finds 80 parts.log - bash "$home/bench/gpu_finds.sh" \
    compute-sanitizer --tool initcheck --error-exitcode 9 --print-limit 2 "$build/tests/test_runtime" "[.unwritten]" &
fi
wait
unset OMP_NUM_THREADS

# ---- benches of less weight ------------------------------------------------------------------------------------------

if [ -n "$without" ]; then export DOPPEL_WITHOUT=$without; fi
if [ ! $rehearse ]; then
  bench bench_kernels 60 bench_kernels --seconds 0.02
  peer_kernels peers_kernels 60 --device cuda --arch original
  bench bench_df_ud 60 bench_kernels --arch df-ud256 --precision bf16 --choices --seconds 0.005
  # What early starts are worth, with the kernels that are the fastest with them.
  if keeps early_start; then
    DOPPEL_WITHOUT=early_start${without:+,$without} bench bench_step_in_turn 40 bench_step --device $device --arch original \
      --precision bf16 --seconds 1.5 --kernel-cache "$kernels"
  fi
  peer peers_lite 100 --device cuda --arch lite --precision bf16 --rounds 3 --seconds 1 --compile none
  # What the report misses least, should the time be up.
  peer_kernels peers_kernels_more 80 --device cuda --arch df-ud256 --arch lite
fi

# ---- report ----------------------------------------------------------------------------------------------------------

if [ -e "$kernels" ]; then cp "$kernels" "$out/kernels.json"; fi
report --print || cat "$state/parts.tsv"
again=$(missing)
if [ -n "$again" ]; then echo "gpu: for what the time was too short, on this machine: bash bench/gpu.sh $out --only $again" >&2; fi
! cut -f2 "$state/parts.tsv" | grep -qv '^passed$'
