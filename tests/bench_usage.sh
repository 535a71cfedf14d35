#!/bin/bash
# bench_usage.sh PROGRAM...: numbers that are none, or out of range, are refused in one line that names the option,
# with exit code 2, before anything is timed.
set -uo pipefail
failed=0
for program in "$@"; do
  for arguments in "--batch abc" "--batch -5" "--batch 0" "--batch 3x" "--batch 99999999999" "--seconds abc" \
    "--seconds -1" "--seconds nan" "--seconds 1s"; do
    # shellcheck disable=SC2086
    said=$("$program" --device emulator $arguments 2>&1)
    code=$?
    if [ $code -ne 2 ] || [ "$(wc -l <<<"$said")" -ne 1 ] || [[ $said != *"$arguments"* ]]; then
      echo "$program $arguments: exit code $code: $said"
      failed=1
    fi
  done
done
exit $failed
