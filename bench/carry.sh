#!/bin/bash
# Copies what bench/gpu.sh cannot do without on a machine that has a card but no Debian packages, into bench/carry: the
# one header of Catch2. Run it where Catch2's package is (tools/setup.sh tests), and take the folder along.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

for folder in /usr/include /usr/local/include; do
  header=$folder/catch2/catch.hpp
  [ -e "$header" ] || continue
  mkdir -p "$home/bench/carry/include/catch2"
  cp "$header" "$home/bench/carry/include/catch2/"
  echo "carry: $home/bench/carry, $(du -sh "$home/bench/carry" | cut -f1)"
  exit 0
done
echo "carry: there is no catch2/catch.hpp here; on Debian 12: apt install catch2" >&2
exit 1
