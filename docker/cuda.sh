#!/usr/bin/env bash
# Unpacks what training on a GPU loads, of the wheels that requirements/cuda.txt pins by hash: cuda.sh cuda.txt FOLDER
set -euo pipefail

requirements=$1
folder=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python3 -m pip download --quiet --no-deps --require-hashes --only-binary :all: -r "$requirements" -d "$scratch"
for wheel in "$scratch"/*.whl; do
  python3 -m zipfile -e "$wheel" "$scratch/packages"
done
# NVBLAS stands in for a BLAS of the CPU, and the other builds of NVRTC are for old systems.
for library in "$scratch"/packages/nvidia/*/lib/lib*.so.*; do
  case ${library##*/} in
    libnvblas.* | *.alt.so.*) ;;
    *) install -D -m 644 -t "$folder" "$library" ;;
  esac
done
# What their licences ask to go along.
for licence in "$scratch"/packages/*.dist-info/{,licenses/}License.txt; do
  if [[ -f $licence ]]; then
    package=${licence#"$scratch/packages/"}
    install -D -m 644 "$licence" "$folder/licences/${package%%-*}.txt"
  fi
done
