#!/bin/bash
# gpu_script.sh SOURCE: bench/gpu.sh on a machine whose card, compiler and programs are made up: whatever becomes of a
# part, its row says so, the others run, and where the kernels by wgmma fail there are figures without them.
set -uo pipefail
source=$1
world=$(mktemp -d)
trap 'rm -rf "$world"' EXIT
mkdir -p "$world"/{bench/peers,fakes,site/torch}
cp "$source"/bench/{gpu.sh,gpu_parts.sh,gpu_finds.sh,gpu_report.py,engine.sh,gpu_libraries.py} "$world/bench"
: >"$world/site/torch/__init__.py"
export PYTHONPATH=$world/site

# ---- what is made up -------------------------------------------------------------------------------------------------

# What $BEHAVE, words of the form NAME=WHAT, says of what is called NAME: its tests' filter too, for programs of tests.
cat >"$world/fakes/behave.sh" <<'END'
behave() {
  local word
  for word in $BEHAVE; do
    if [ "${word%%=*}" = "$1" ]; then echo "${word#*=}"; return; fi
  done
  echo pass
}
act() { # WHAT, by what a program does then
  case $1 in
    fail) echo "CUDA: an illegal memory access was encountered" >&2; exit 1 ;;
    # Not without wgmma.
    fail_wgmma) if [[ ,${DOPPEL_WITHOUT:-}, != *,wgmma,* ]]; then act fail; fi ;;
    fail_early) if [[ ,${DOPPEL_WITHOUT:-}, != *,early_start,* ]]; then act fail; fi ;;
    hang) exec sleep 300 ;;
  esac
}
END
cat >"$world/fakes/program" <<'END'
#!/bin/bash
. "$FAKES/behave.sh"
name=$(basename "$0")
for filter in "$@"; do :; done
echo "$name ${DOPPEL_WITHOUT:-all} ${DOPPEL_DIRTY_MEMORY:-clean} ${OMP_NUM_THREADS:-all} $*" >>"$FAKES/called"
case $name in
  test_card | test_kernels)
    case $filter in "[hopper]") what=hopper ;; "[wgmma]"*) what=wgmma ;; "[cluster]"*) what=cluster ;; "[vendor]") what=vendor ;; *) what=$name ;; esac
    what=$(behave $what)
    ;;
  *) what=$(behave $name) ;;
esac
case $name in
  bench_step)
    if [ "$what" = wrong ]; then
      echo "bench_step: wgrad conv2d: not by wgmma_128x256/1: its result differs, left out; please report this line" >&2
    fi
    # As runtime/tuner.cc: the kernel in whose trial the last start ended is named, and left out.
    cache=$(sed -E 's/.*--kernel-cache ([^ ]+).*/\1/' <<<"$*")
    if [ -e "$cache.trial" ]; then
      echo "bench_step: wgrad conv2d: the last start ended while wgmma_128x256/1 was tried; left out until $cache is deleted;"\
' please report this line' >&2
      rm "$cache.trial"
    fi
    if [[ $what = fail_wgmma && ,${DOPPEL_WITHOUT:-}, != *,wgmma,* ]]; then : >"$cache.trial"; fi
    act "$what"
    echo '[{"device":"H200","arch":"original","batch":64,"precision":"bf16","ms":2.5,"wall_ms":2.6,"submit_ms":0.1,"samples_per_s":1,'\
'"gflops":1,"floor_ms":2,"of_floor":0.8,"memory_bytes":1,"planned_bytes":1,"peak_tflops":1,"peak_gb_per_s":1}]'
    ;;
  bench_kernels)
    # Not even while everything is timed that can be chosen.
    case "$what $*" in fail_choices*--choices*) act fail_wgmma ;; esac
    act "$what"
    row='"batch":64,"precision":"bf16","layer":"l","kernel":"fprop","tflops":1,"gb_per_s":1,"of_peak":0.5'
    arch=original
    case "$*" in *df-ud256*) arch=df-ud256 ;; esac
    echo "[{$row,\"arch\":\"$arch\",\"by\":\"doppel\",\"choice\":\"first\",\"ms\":2},"
    echo " {$row,\"arch\":\"$arch\",\"by\":\"doppel\",\"choice\":\"second\",\"ms\":1},"
    echo " {$row,\"arch\":\"$arch\",\"by\":\"cuDNN\",\"choice\":\"vendor:0\",\"ms\":3}]"
    ;;
  *)
    # The mistake that a checker is to find is none to the program.
    if [ "$filter" != "[.unwritten]" ]; then act "$what"; fi
    echo "All tests passed (3 assertions in 1 test case)"
    ;;
esac
END
cat >"$world/fakes/cmake" <<'END'
#!/bin/bash
. "$FAKES/behave.sh"
case "$*" in
  *DOPPEL_TESTS=ON*) [ "$(behave catch)" = pass ] || { echo "Could not find catch2/catch.hpp"; exit 1; } ;;
  *--build*)
    act "$(behave build)"
    mkdir -p "$2/tests"
    for target in "${@:4}"; do
      case $target in
        test_*) cp "$FAKES/program" "$2/tests/$target" ;;
        bench_*) cp "$FAKES/program" "$2/$target" ;;
      esac
    done
    ;;
esac
END
cat >"$world/fakes/compute-sanitizer" <<'END'
#!/bin/bash
. "$FAKES/behave.sh"
tool=$2
while [ "$1" != 20 ] && [ "$1" != 2 ]; do shift; done
shift
if [ "$(behave sanitizer)" = refused ]; then
  echo '========= Error: Device not supported. Please refer to the "Supported Devices" section'
  exec "$@"
fi
if [ "$(behave sanitizer)" = silent ]; then exec "$@"; fi
"$@" || exit
for filter in "$@"; do :; done
if [ "$(behave $tool)" = finds ] || { [ "$filter" = "[.unwritten]" ] && [ "$(behave sanitizer)" != blind ]; }; then
  echo '========= Program hit cudaErrorNotSupported (error 801) due to "operation not supported" on CUDA API call'
  echo "========= ERROR SUMMARY: 1 error"
  exit 9
fi
echo "========= ERROR SUMMARY: 0 errors"
END
cat >"$world/fakes/nvidia-smi" <<'END'
#!/bin/bash
case $1 in *=name) echo "NVIDIA H200" ;; *=compute_cap) echo 9.0 ;; *) echo 1 ;; esac
END
# Nobody waits for long.
cat >"$world/fakes/timeout" <<'END'
#!/bin/bash
if [ "$1" = -k ]; then shift 2; fi
shift
exec "$REAL_TIMEOUT" -k 1 "${PATIENCE:-60}" "$@"
END
cat >"$world/bench/peers/pytorch_step.py" <<'END'
import os
print('[{"arch":"original","batch":64,"precision":"bf16","mode":"tuned","pytorch":"tuned","how":"graph","ratio":1.5,'
      '"ratio_least":1,"ratio_most":2,"doppel_per_s":1,"pytorch_per_s":1,"doppel_bytes":1,"pytorch_bytes":2}]')
END
echo 'print("[]")' >"$world/bench/peers/pytorch_kernels.py"
printf '#!/bin/bash\nexit 0\n' >"$world/fakes/ninja"
printf '#!/bin/bash\necho V13.0\n' >"$world/fakes/nvcc"
chmod +x "$world"/fakes/*
REAL_TIMEOUT=$(command -v timeout)
export REAL_TIMEOUT FAKES=$world/fakes PATH=$world/fakes:$PATH

# ---- what is checked -------------------------------------------------------------------------------------------------

failures=0
complain() {
  echo "with BEHAVE='$BEHAVE': $*"
  sed 's/^/    /' "$world/build-gpu/parts/parts.tsv"
  failures=$((failures + 1))
}
run() { # BEHAVE [OPTIONS...]
  export BEHAVE=$1
  shift
  : >"$FAKES/called"
  bash "$world/bench/gpu.sh" "$world/out" "$@" >"$world/said" 2>&1
  code=$?
}
exits() { [ $code -eq "$1" ] || complain "the exit code is $code, not $1"; }
# has NAME STATUS [NOTE]: patterns.
has() {
  awk -F '\t' -v name="$1" -v status="$2" -v note="${3:-}" '$1 == name && $2 ~ "^" status && $4 ~ note { found = 1 } END { exit !found }' \
    "$world/build-gpu/parts/parts.tsv" || complain "no row: $*"
}
has_no() { ! cut -f1 "$world/build-gpu/parts/parts.tsv" | grep -qx "$1" || complain "a row $1"; }
says_not() { ! grep -qE -- "$1" "$world"/out/nvidia-h200-*.md || complain "the report says: $1"; }
says() { grep -qE -- "$1" "$world"/out/nvidia-h200-*.md || complain "the report does not say: $1"; }
# The last line: how to go on.
to_go_on() { sed -n 's/.*for what the time was too short.* --only //p' "$world/said"; }
called() { grep -qE -- "$1" "$FAKES/called" || complain "nobody called: $1"; }

run ""
exits 0
for name in build test_{instructions,hopper,cluster,kernels,wgmma,pairs,early_start,vendor,runtime,nn} bench_{step,step_in_turn,choices,kernels,df_ud} \
  peers_{original,kernels,kernels_more,lite} {memcheck,racecheck,synccheck}{,_wgmma} memcheck_pairs initcheck initcheck_finds; do
  has $name 'passed$'
done
has_no bench_step_without_wgmma
says '^\| a step \| at most 3.0 ms \| 2.500 ms \| met'
says '^\| df-ud256 bf16 \| l \| fprop \| first \| 2.0000 \| 3.0000 \(cuDNN\)'
says '^\| df-ud256 bf16 \| l \| fprop \| 2.0000 \(first\) \| 1.0000 \(second\) \| 3.0000 \(vendor:0\)'
says 'commit files-[0-9a-f]{12}$'
called '^test_nn early_start 1 [0-9]+ .*a training step' # memory that nobody has written
grep -qE '^test_[a-z]+ [^ ]+ [^ ]+ all ' "$FAKES/called" && complain "a test that runs beside others has all cores to itself"
grep -qE '^bench_[a-z]+ [^ ]+ [^ ]+ [0-9]' "$FAKES/called" && complain "a bench has not all cores"
[ "$(grep '^bench_step' "$FAKES/called" | cut -d ' ' -f 2 | paste -sd ' ')" = "all early_start" ] || complain "bench_step ran otherwise than once with early starts and once without"
grep -q 'for what the time' "$world/said" && complain "somebody is to go on"

# Parts that end together write the report side by side: each puts a new one in its place, none writes into what is there.
page=$(echo "$world"/out/nvidia-h200-*.md)
for file in "$page" "${page%.md}.json"; do ln "$file" "$file.before" && : >"$file.before"; done
run "" --only bench_kernels
exits 0
for file in "$page" "${page%.md}.json"; do
  [ -s "$file.before" ] && complain "$file is written while others may read it"
  rm "$file.before"
done
[ "$(ls "$world"/out/nvidia-h200-* | wc -l)" = 2 ] || complain "more than the report is left: $(ls "$world/out")"

# The kernels by wgmma end the program that times them: bench_step once more without them, and all that comes after it too.
run "bench_step=fail_wgmma"
exits 1
has bench_step 'failed \(1\)' 'illegal memory access'
has bench_step_in_turn 'failed \(1\)'
has bench_step_without_wgmma passed '^without wgmma'
has peers_original passed '^without wgmma'
has bench_choices passed '^without wgmma'
has memcheck_wgmma passed '^All'
says '^\| a step \| at most 3.0 ms \| 2.500 ms, without wgmma,early_start \| met'
# The fallback names the kernel that ended the first, which is no wrong result of its own.
has bench_step_without_wgmma passed '1 kernels to report'
says '^\| bench_step_without_wgmma \| bench_step: .*the last start ended while wgmma_128x256/1 was tried'
# By its name the part comes with its fallback, and nothing of an earlier one stays.
run "bench_step=fail_wgmma" --only bench_step
[ "$(cut -d ' ' -f 1-2 "$FAKES/called" | paste -sd ,)" = "bench_step all,bench_step early_start,bench_step wgmma,early_start" ] || complain "not all: $(cat "$FAKES/called")"
has bench_step_without_wgmma passed
[ "$(cut -f1 "$world/build-gpu/parts/parts.tsv" | sort | uniq -d)" = "" ] || complain "a row twice"
run "" --only bench_step
exits 0
has bench_step passed
has_no bench_step_without_wgmma
says '^\| a step \| at most 3.0 ms \| 2.500 ms \| met'
says_not '^\| bench_step_without_wgmma'
[ "$(grep -c '"ms": 2.5' "${page%.md}.json")" = 2 ] || complain "the figures of an earlier bench_step are still there"

# They end only the bench that tries all of them: it once more without them, and so the other that does.
run "bench_kernels=fail_choices"
exits 1
has bench_step passed '^ ?$'
has bench_choices 'failed \(1\)'
has bench_choices_without_wgmma passed '^without wgmma'
has bench_df_ud passed '^without wgmma'

# Pairs of blocks fail their tests: every figure is without them, and all others are there. So it is where a bench fails
# all the same.
run "cluster=fail"
exits 1
has test_cluster 'failed \(1\)' 'illegal memory access'
has test_pairs 'failed'
has test_wgmma passed
called '^test_kernels clusters,early_start .*\[wgmma\],' # each says whose fault it is
has bench_step passed '^without clusters'
has bench_choices passed '^without clusters'
has_no bench_step_without_wgmma
says '^\| a step \| at most 3.0 ms \| 2.500 ms, without clusters \| met'
run "cluster=fail bench_kernels=fail_choices"
has bench_step passed '^without clusters'
has bench_choices_without_wgmma passed '^without wgmma'

# Kernels that start early fail: every figure is without them, and what they are worth is not asked.
run "test_nn=fail_early"
exits 1
has test_early_start 'failed \(1\)' 'illegal memory access'
has test_nn passed
has bench_step passed '^without early_start'
has_no bench_step_in_turn
run "test_nn=fail_early cluster=fail"
has bench_step passed '^without clusters,early_start'
# They pass their test and end the bench: it once more without them, with all kernels.
run "bench_step=fail_early"
exits 1
has test_early_start passed
has bench_step 'failed \(1\)'
has bench_step_in_turn passed '^without early_start'
has bench_choices passed '^without early_start'
has_no bench_step_without_wgmma
says '^\| a step \| at most 3.0 ms \| 2.500 ms, without early_start \| met'

# They hang.
PATIENCE=8 run "bench_step=fail_wgmma hopper=hang"
has test_hopper 'stopped after 60 s'
has test_instructions passed
has test_kernels passed
[ "$(grep -m 1 '^bench_step' "$FAKES/called" | cut -d ' ' -f 2)" = wgmma ] || complain "the figures without wgmma come late"
has bench_step 'failed'
has bench_step_without_wgmma passed

# One is wrong, and has been left out; a kernel of nobody's knowing fails in the others.
run "bench_step=wrong bench_kernels=fail"
exits 1
has bench_step 'wrong results \(1\)' '^1 kernels to report'
says '^\| bench_step \| bench_step: wgrad conv2d: not by wgmma_128x256/1: its result differs'
has bench_kernels failed
has bench_choices_without_wgmma failed '^without wgmma'
has_no bench_step_without_wgmma
has peers_lite passed

# No checker, one that finds, one that is blind.
run "sanitizer=refused"
exits 1
has memcheck 'not available here' 'Device not supported'
has initcheck_finds 'not available here'
has bench_kernels passed
run "racecheck=finds" --only racecheck,initcheck_finds # and the rest stays
has racecheck 'failed \(9\)' '1 error'
has synccheck 'not available here'
has bench_step passed
has initcheck_finds passed
[ "$(cut -f1 "$world/build-gpu/parts/parts.tsv" | sort | uniq -d)" = "" ] || complain "a row twice"
run "sanitizer=blind" --only initcheck_finds
has initcheck_finds 'failed \(1\)'
run "sanitizer=silent" --only memcheck
has memcheck 'failed \(it checked nothing\)'

# No Catch2; no time; no build.
rm -rf "$world/build-gpu"
run "catch=none"
exits 1
has test_kernels 'did not run' 'no Catch2'
has bench_step passed
run "" --seconds 1
exits 1
has bench_step 'did not run' 'the time was up'
[[ ,$(to_go_on), == *,bench_step,* ]] || complain "nobody says how to go on"
rm -rf "$world/build-gpu"
run "build=fail"
has build failed 'illegal memory access'
has bench_step 'did not run' 'see build.log'
[ "$(to_go_on)" = "" ] || complain "to go on mends nothing: $(to_go_on)"
rm -rf "$world/build-gpu"
PATIENCE=1 run "build=hang"
has build 'stopped after'
has peers_original 'did not run' 'see build.log'
for name in build test_nn bench_step peers_original memcheck; do
  [[ ,$(to_go_on), == *,$name,* ]] || complain "$name is not among what is to come: $(to_go_on)"
done
rm -rf "$world/build-gpu"
PATIENCE=1 run "build=hang catch=none"
[[ ,$(to_go_on), == *,bench_step,* && ,$(to_go_on), != *,test_nn,* ]] || complain "without Catch2 is to come: $(to_go_on)"

exit $((failures > 0))
