#!/bin/bash
# gpu_finds.sh COMMAND...: 0 where the checker finds the mistake that it is shown (its exit code is 9), 1 where it is blind.
"$@"
code=$?
if [ $code -eq 9 ]; then exit 0; fi
echo "error: the checker ended with $code and has not found a read of memory that nobody wrote" >&2
exit 1
