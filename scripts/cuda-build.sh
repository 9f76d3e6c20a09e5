#!/usr/bin/env bash
# Builds target/cuda/train, which computes on a GPU (docs/gpu.md): cuda-build.sh FOLDER, the site-packages of requirements/cuda.txt.
#
# No GPU and no driver is needed: the binary is linked against a libcuda of the functions' names alone.
# CUDA_COMPUTE_CAP is the GPU's compute capability, 90 for H100 and H200.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=$1
cuda=$(cd "$packages/nvidia/cu13" && pwd)
links=$PWD/target/cuda/links
mkdir -p "$links"

# Linkers look for names without a version, which the packages do not have.
for library in "$cuda"/lib/lib*.so.*; do
  name=${library##*/}
  ln -sf "$library" "$links/${name%%.so.*}.so"
done

cargo fetch --quiet
sys=$(compgen -G "${CARGO_HOME:-$HOME/.cargo}/registry/src/*/cudarc-*/src/driver/sys/mod.rs" | tail -n 1)
grep -oE 'pub unsafe fn cu[A-Za-z0-9_]+' "$sys" | sed -E 's/.* (cu.*)/void \1(void) {}/' | sort -u \
  | cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$links/libcuda.so" -x c -

export CUDA_HOME=$cuda CUDA_PATH=$cuda NVCC=$cuda/bin/nvcc PATH=$cuda/bin:$PATH
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
export LIBRARY_PATH=$links:$cuda/lib${LIBRARY_PATH:+:$LIBRARY_PATH}
# One package: the others load the driver at run time, and a build has one of the two.
CARGO_TARGET_DIR=target/cuda/build "${CARGO:-cargo}" build --release -p train --bin train --features cuda ${LOCKED:+"$LOCKED"}
cp target/cuda/build/release/train target/cuda/train
