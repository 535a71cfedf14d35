#!/bin/bash
# A long training on this machine's card, in one command:
#
#   bash bench/train.sh OUT [--faces FILE] [--arch A] [--iterations N] [--seconds N] [--rehearse]
#
# builds the engine rooms for the card, trains on FILE (bench/carry/faces.safetensors, made by build/pack_actors where
# the whole program builds) for N iterations (115000), and writes OUT/training.md, .json, .png and build.log: minutes,
# losses, and the swaps against the truth at several points. It ends within N seconds (570), done or not, and the same
# command goes on: the checkpoint lies in the build's folder, since it is large.
#
# Needed: a C++ compiler, CUDA's toolkit, CMake, Python. --rehearse: the processor stands in for the card, with two
# samples a person and few iterations unless told otherwise, from the start and in two goes. Exit codes: 0 it has
# trained, to the end or until the time was up (training.md says how far), 1 it failed, 2 wrong usage, 3 the time was up
# before training began.
set -uo pipefail
export LC_ALL=C
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  echo "usage: bash bench/train.sh OUT [--faces FILE] [--arch A] [--iterations N] [--seconds N] [--rehearse]" >&2
  exit 2
}
out= rehearse= total=570 arch=original iterations= faces=$home/bench/carry/faces.safetensors
while [ $# -gt 0 ]; do
  case $1 in
    --rehearse) rehearse=1 ;;
    --faces | --arch | --iterations | --seconds)
      [ $# -gt 1 ] || usage
      case $1 in --faces) faces=$2 ;; --arch) arch=$2 ;; --iterations) iterations=$2 ;; --seconds) total=$2 ;; esac
      shift
      ;;
    -*) usage ;;
    *) [ -z "$out" ] || usage; out=$1 ;;
  esac
  shift
done
[ -n "$out" ] || usage
[[ $total =~ ^[0-9]+$ && $iterations =~ ^[0-9]*$ ]] || usage
if [ ! -e "$faces" ]; then
  echo "train: $faces is not there; where the whole program builds: mkdir -p $(dirname "$faces") && build/pack_actors -o $faces" >&2
  exit 1
fi
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)

. "$home/bench/engine.sh"
find_card train processor
rm -f "$out/build.log"
engine_options "$out/build.log"
echo "train: building for $name" >&2
# Where there is no Catch2, the tests cannot be configured.
build() {
  configure || configure -DDOPPEL_TESTS=OFF || return
  local left=$((total - SECONDS))
  [ $left -gt 0 ] || return 124
  timeout -k 5 "$left" cmake --build "$build" --parallel "$cores" --target bench_training
}
build >>"$out/build.log" 2>&1
case $? in
  0) ;;
  124 | 137)
    echo "train: the time was up before it was built; the same command goes on" >&2
    exit 3
    ;;
  *)
    tail -n 20 "$out/build.log" >&2
    echo "train: the build failed; all of it: $out/build.log" >&2
    exit 1
    ;;
esac

command=("$build/bench_training" --faces "$faces" --arch "$arch" --out "$out" --state "$build/training-$arch")
if [ $rehearse ]; then
  rm -rf "$build/training-$arch"
  command+=(--device cpu --batch 2 --iterations "${iterations:-3}" --points 3)
  "${command[@]}" --minutes 0.001 >/dev/null || exit # one iteration
else
  command+=(--device cuda --iterations "${iterations:-115000}" --kernel-cache "$build/kernels.json")
fi
# The last checkpoint takes some seconds.
left=$((total - SECONDS - 20))
if [ $left -lt 5 ]; then
  echo "train: it is built, and the time is up; the same command goes on" >&2
  exit 3
fi
exec "${command[@]}" --minutes "$(awk "BEGIN { print $left / 60 }")"
