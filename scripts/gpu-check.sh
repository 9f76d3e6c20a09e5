#!/usr/bin/env bash
# Checks and measures what computes on a GPU (docs/gpu.md), in under five minutes, and writes one object of JSON.
#
# On the machine that builds:   scripts/gpu-check.sh pack     writes dist/gpu-check.tar.gz: binaries, configs, this script
# On the machine with the GPU:  ./gpu-check.sh [DATA]         in the unpacked folder; writes gpu-check.json
#
# That machine needs CUDA 13, Python 3 with NumPy and PyTorch; no Rust and no network. DATA is a folder of CIFAR-10 that
# fetch-data wrote; without it images are random, and there are no accuracies.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"

pack() {
  cd ..
  local release=${CARGO_TARGET_DIR:-target}/release folder=dist/gpu-check
  rm -rf "$folder"
  mkdir -p "$folder/bin"
  cp "$release/entropy" "$release/relu" "$release/examples/gpu_check" "$folder/bin"
  # The build of `make cuda`, if it was made.
  if [[ -x target/cuda/train ]]; then
    cp target/cuda/train "$folder/bin"
  fi
  cp -r configs "$folder"
  cp scripts/gpu-check.sh scripts/gpu_check.py "$folder"
  tar -C dist -czf dist/gpu-check.tar.gz gpu-check
  echo "dist/gpu-check.tar.gz"
}

# Libraries of CUDA that PyTorch's wheels brought.
nvidia_folders() {
  python3 - << 'PYTHON'
import pathlib
import sysconfig

packages = {pathlib.Path(sysconfig.get_paths()[key]) for key in ("purelib", "platlib")}
print(":".join(str(path) for package in packages for path in sorted(package.glob("nvidia/*/lib"))))
PYTHON
}

run() {
  local folders nvrtc
  folders=$(nvidia_folders)
  export LD_LIBRARY_PATH="$folders:/usr/local/cuda/lib64:${LD_LIBRARY_PATH:-}"
  if [[ -z ${NVRTC_DYLIB_PATH:-} ]]; then
    nvrtc=$(tr : '\n' <<< "$LD_LIBRARY_PATH" | while read -r folder; do compgen -G "$folder/libnvrtc.so.13*" || true; done | head -n 1)
    export NVRTC_DYLIB_PATH=$nvrtc
  fi
  timeout 290 python3 gpu_check.py "$@"
}

case ${1:-} in
  pack) pack ;;
  *) run "$@" ;;
esac
