#!/bin/bash
# Installs what doppel needs from Debian's packages: `bash tools/setup.sh` for the program, `bash tools/setup.sh tests`
# for the tests as well. Says what it installs; silent when all of it is there.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache pkg-config
  libdnnl-dev                                                         # convolutions and matrix products
  libdlib-dev libdlib-data libjpeg-dev libblas-dev liblapack-dev      # the detector; the last three are what it links
  libavformat-dev libavcodec-dev libswscale-dev libavutil-dev         # video
  libstb-dev libeigen3-dev libcli11-dev nlohmann-json3-dev
)
if [ "${1:-}" = tests ]; then packages+=(catch2); fi

missing=()
for package in "${packages[@]}"; do
  # pkg-config and libjpeg-dev may be provided under another name; the installed list knows the real ones.
  if ! dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
    missing+=("$package")
  fi
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: these packages are missing and need root to install: ${missing[*]}" >&2
    exit 1
  fi
  root=(sudo)
fi
echo "setup: installing from Debian: ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  "${root[@]}" apt-get -q update &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${missing[@]}"
}
if ! install >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed (its last lines are above); doppel is built and tested on Debian 12" >&2
  exit 1
fi
