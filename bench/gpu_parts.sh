# Sourced by gpu.sh: parts, each of which has its own time limit and its own row of the table, whatever becomes of it.
# Known there: $home, $state (what the report is made of), $out, $total (seconds in all), $only (parts, or empty: all),
# $why (a program may be missing).

report() { python3 "$home/bench/gpu_report.py" "$state" "$out" "$@"; }

# wanted NAME: whether the part is to run; the ones without some kernels, or without early starts, with the part itself.
wanted() { [ -z "$only" ] || [[ ,$only, == *,$1,* || ,$only, == *,${1%_without_wgmma},* || ,$only, == *,${1%_in_turn},* ]]; }

# row NAME STATUS SECONDS NOTE: one row of the table.
row() {
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$(tr '\t\n' '  ' <<<"$4" | cut -c1-200)" >>"$state/parts.tsv"
  echo "gpu: $1: $2, $3 s. $4" >&2
  report >/dev/null
}

# failed NAME: whether the part has run and not come to its end.
failed() { awk -F '\t' -v name="$1" '$1 == name { s = $2 } END { exit s !~ /^(failed|stopped)/ }' "$state/parts.tsv"; }

# limited SECONDS COMMAND...: its exit code; 124 or 137 when it took longer. A program that the card does not let go of
# outlives even a KILL: then nobody waits for it.
limited() {
  local seconds=$1 pid waited=0
  shift
  timeout -k 5 "$seconds" "$@" </dev/null &
  pid=$!
  while kill -0 $pid 2>/dev/null; do
    if [ $waited -gt $((10 * (seconds + 10))) ]; then return 137; fi
    sleep 0.1
    waited=$((waited + 1))
  done
  wait $pid
}

# part NAME LIMIT LOG STDOUT COMMAND...: runs the command for at most LIMIT seconds, and no longer than there is time.
# Its output goes to the log; its stdout to a file of the state instead, unless STDOUT is "-".
part() {
  local name=$1 limit=$2 log=$3 stdout=$4 start=$SECONDS left=$((total - SECONDS)) text code status note wrong told refused
  wanted "$name" || return
  shift 4
  if [ $left -lt 5 ]; then row "$name" "did not run" 0 "the time was up"; return; fi
  if [ $limit -gt $left ]; then limit=$left; fi
  text=$state/$name.log
  if [ "$stdout" = - ]; then
    limited "$limit" "$@" >"$text" 2>&1
  else
    limited "$limit" "$@" >"$state/$stdout" 2>"$text"
  fi
  code=$?
  { echo "==== $name: $*"; cat "$text"; echo "==== $name: exit code $code"; } >>"$out/$log"
  note=$(summary "$text" $code)
  case $code in
    0) status=passed ;;
    124 | 137) status="stopped after $limit s" ;;
    *) status="failed ($code)" ;;
  esac
  # Kernels that bench_step has left out: wrong results, which are ours to mend, what a device refused, and what ended
  # an earlier start, which says nothing against this one.
  grep -aE ': not by [^ ]+: |please report this line' "$text" | sed "s/^/$name\t/" >>"$state/left_out.tsv"
  told=$(grep -ac 'please report this line' "$text")
  if [ "$told" -gt 0 ]; then note="$told kernels to report, see below. $note"; fi
  wrong=$(grep -ac 'its result differs' "$text")
  if [ "$wrong" -gt 0 ] && [ $code -eq 0 ]; then status="wrong results ($wrong)"; fi
  if [[ " $* " == *" compute-sanitizer "* ]]; then
    # The checker's own words, not what it found.
    refused=$(grep -aE '^=+ ' "$text" | grep -av 'Program hit' | grep -aiE -m 1 'device not supported|not supported on|permission|privilege|NVGPUCTRPERM|unable to (launch|start|attach|load|inject)|failed to (initialize|launch|start|attach|load|inject)')
    if [ -n "$refused" ]; then
      status="not available here" note=$(sed 's/^=* *//' <<<"$refused")
    elif [ $code -eq 0 ] && ! grep -aq 'SUMMARY' "$text"; then
      status="failed (it checked nothing)"
    fi
  fi
  if [ -n "${DOPPEL_WITHOUT:-}" ]; then note="without $DOPPEL_WITHOUT. $note"; fi
  row "$name" "$status" $((SECONDS - start)) "$note"
}

# The line of a log that says most: the tests' sum, the sanitizer's, or the first error.
summary() {
  local line tests
  line=$(grep -aE '^All tests passed|^test cases:|ERROR SUMMARY|RACECHECK SUMMARY' "$1" | tail -n 2 | sed 's/=* *//' | paste -sd ' ')
  if [ "$2" -ne 0 ] && [ -z "$line" ]; then
    line=$(grep -aiE '(error|failed|cannot|exception)' "$1" | head -n 1)
    [ -n "$line" ] || line=$(tail -n 1 "$1")
  fi
  # With -d yes each test says its time when it is over.
  tests=$(grep -acE '^[0-9.]+ s: ' "$1")
  if [[ $2 == @(124|137) ]] && [ "$tests" -gt 0 ]; then line="$tests tests had been done. $line"; fi
  echo "$line"
}

# needs NAME FILE: whether the file is there; else the row says so.
needs() {
  wanted "$1" || return
  if [ -e "$2" ]; then return 0; fi
  row "$1" "did not run" 0 "there is no ${2#"$home"/}: $why"
  return 1
}

# The parts that want another go; where it is the build that was stopped, those too whose program is not there.
missing() {
  awk -F '\t' '{ s[$1] = $2 " " $4 }
    END {
      again = "^stopped|time was up"
      if (s["build"] ~ /^stopped/) again = again "|^did not run there is no .*: see build.log"
      for (n in s) if (s[n] ~ again) print n
    }' "$state/parts.tsv" | sort | paste -sd ,
}
