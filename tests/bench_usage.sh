#!/bin/bash
# bench_usage.sh PROGRAM...: --help goes to stdout with exit code 0, and says which options there are. Those, an option
# that there is not, values that are missing, numbers that are none or out of range, and words that are none of the choice
# are refused in one line on stderr, with exit code 2, before anything is timed. What cannot be printed is exit code 1.
set -uo pipefail
failed=0

complain() {
  echo "$*"
  failed=1
}

# refused NAMED ARGUMENT...: the program is `program`; its one line has NAMED in it.
refused() {
  local named=$1 said code
  shift
  said=$(timeout 20 "$program" "$@" 2>&1 >/dev/null)
  code=$?
  if [ $code -ne 2 ] || [ "$(wc -l <<<"$said")" -ne 1 ] || [[ $said != "$(basename "$program"): "*"$named"* ]]; then
    complain "$program $*: exit code $code: $said"
  fi
  if [ -n "$(timeout 20 "$program" "$@" 2>/dev/null)" ]; then complain "$program $*: prints to stdout"; fi
}

for program in "$@"; do
  help=$("$program" --help 2>/dev/null) || complain "$program --help: exit code $?"
  if [ -n "$("$program" --help 2>&1 >/dev/null)" ]; then complain "$program --help: prints to stderr"; fi
  if [[ $help != *"usage: $(basename "$program") [options]"* ]]; then complain "$program --help: $help"; fi
  if [ -e /dev/full ]; then
    said=$("$program" --help 2>&1 >/dev/full)
    code=$?
    if [ $code -ne 1 ] || [ "$said" != "$(basename "$program"): cannot write to standard output" ]; then
      complain "$program --help >/dev/full: exit code $code: $said"
    fi
  fi
  refused "--no-such-option" --no-such-option
  refused "word" word
  numbers=0 words=0
  # "  -o, --output FILE": the name, and what stands for its value.
  while read -r name value; do
    refused "$name" "$name"
    refused "$name" "$name" --json
    case $value in
      [A-Z])
        numbers=$((numbers + 1))
        for number in abc -1 nan 1x 1e99 99999999999999999999 ""; do refused "$name $number" "$name" "$number"; done
        ;;
      *"|"*)
        words=$((words + 1))
        refused "$name nothing" "$name" nothing
        ;;
    esac
  done < <(sed -nE 's/^  (-., )?(--[a-z-]+) ([^ ]+)$/\2 \3/p' <<<"$help")
  if [ $numbers -lt 1 ] || [ $words -lt 1 ]; then complain "$program --help: $numbers numbers, $words choices: $help"; fi
done
exit $failed
