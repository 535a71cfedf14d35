# Sourced by gpu.sh and train.sh: this machine's card, and how the engine rooms are configured for it, in a folder that
# both share. Both know $home (the repository) and $rehearse (not empty: there is no card).

cores=$(nproc)
if [ $rehearse ]; then build=$home/build-rehearsal; else build=$home/build-gpu; fi
for folder in "${CUDA_HOME:-}/bin" /usr/local/cuda/bin; do
  if [ -d "$folder" ]; then PATH=$PATH:$folder; fi
done
card() { nvidia-smi --query-gpu="$1" --format=csv,noheader --id=0 2>/dev/null | head -n 1; }

# find_card WHO STAND-IN: sets name and architecture (90); ends where there is no card.
find_card() {
  name=$2 architecture=
  if [ $rehearse ]; then return; fi
  name=$(card name) architecture=$(card compute_cap | tr -d .)
  if [ -z "$name" ]; then
    echo "$1: nvidia-smi shows no card here; with --rehearse the $2 stands in for one" >&2
    exit 1
  fi
}

# engine_options LOG: sets options, for CMake, and LD_LIBRARY_PATH; says in the log what was left out.
engine_options() {
  options=(-DCMAKE_BUILD_TYPE=Release -DDOPPEL_ENGINE_ONLY=ON -DDOPPEL_ONEDNN=OFF -DDOPPEL_BENCH=ON
    -DCMAKE_PREFIX_PATH="$home/bench/carry")
  if command -v ninja >/dev/null; then options+=(-G Ninja); fi
  if [ $rehearse ]; then
    options+=(-DDOPPEL_CUDA=OFF)
    return
  fi
  # Another compiler may warn of other things.
  options+=(-DDOPPEL_CUDA=ON -DDOPPEL_WERROR=OFF -DCMAKE_CUDA_ARCHITECTURES="$architecture-real")
  # cuDNN and cuBLASLt as Python packages, if the toolkit lacks them and their headers are what our sources know.
  local vendor missing cudnn cublas libraries
  missing=$(mktemp)
  vendor=$(timeout 60 python3 "$home/bench/gpu_libraries.py" "$home" 2>"$missing")
  if [ -n "$vendor" ]; then
    IFS=: read -r cudnn cublas libraries <<<"$vendor"
    options+=(-DDOPPEL_CUDNN=ON -DCUDNN_INCLUDE="$cudnn" -DCUBLASLT_INCLUDE="$cublas")
    export LD_LIBRARY_PATH=${libraries//|/:}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  else
    # Said aloud: left to itself, CMake would take a header that was found and does not compile.
    options+=(-DDOPPEL_CUDNN=OFF)
    { echo "==== built without cuDNN and cuBLASLt:"; cat "$missing"; } >>"$1"
  fi
  rm -f "$missing"
}

# configure MORE...: runs CMake with the options, and more of them.
configure() { timeout 120 cmake -S "$home" -B "$build" "${options[@]}" "$@"; }
