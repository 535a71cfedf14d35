#!/bin/bash
# Compiler launcher for nvcc: runs the command that follows and keeps what ptxas says of each kernel (-Xptxas -v) in
# OBJECT.ptxas, beside the object. Everything else that nvcc says goes where it always goes.
object=
previous=
for argument in "$@"; do
  [ "$previous" = "-o" ] && object=$argument
  previous=$argument
done
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
"$@" 2>"$log"
status=$?
if [ $status -eq 0 ] && [[ $object == *.o ]]; then
  grep -E '^ptxas info|bytes stack frame' "$log" >"$object.ptxas"
  grep -vE '^ptxas info|bytes stack frame' "$log" >&2
else
  cat "$log" >&2
fi
exit $status
