#!/usr/bin/env bash
# Checks and measures what computes on a GPU (docs/gpu.md), in under five minutes, and writes one object of JSON.
#
# On the machine that builds:   scripts/gpu-check.sh pack            writes dist/gpu-check.tar.gz: binaries, configs, this script
# On the machine with the GPU:  ./gpu-check.sh [DATA] [OPTIONS]      in the unpacked folder; writes gpu-check.json
#
# That machine needs a driver of CUDA 13.0 or newer, and Python 3 with NumPy and PyTorch, whose wheels bring NVRTC, cuBLAS and
# cuDNN; no Rust and no network. DATA is a folder of CIFAR-10 that fetch-data wrote; without it images are random, and there are no
# accuracies. `--device cpu --tiny` tries everything out on a machine without a GPU.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"

pack() {
  cd ..
  local release=${CARGO_TARGET_DIR:-target}/release folder=dist/gpu-check
  rm -rf "$folder"
  mkdir -p "$folder/bin"
  cp "$release/entropy" "$release/relu" "$release/train" "$release/examples/gpu_check" "$folder/bin"
  cp -r configs "$folder"
  cp -r scripts/gpu-check.sh scripts/gpu_check "$folder"
  find "$folder" -name __pycache__ -prune -exec rm -r {} +
  tar -C dist -czf dist/gpu-check.tar.gz gpu-check
  du -h dist/gpu-check.tar.gz
}

case ${1:-} in
  pack) pack ;;
  *) timeout 290 python3 gpu_check/run.py "$@" ;;
esac
