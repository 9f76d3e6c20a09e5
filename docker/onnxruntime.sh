#!/usr/bin/env bash
# Unpacks ONNX Runtime's library, of the wheel that requirements/run.txt pins by hash: onnxruntime.sh run.txt FOLDER
set -euo pipefail

requirements=$1
folder=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

awk '/^[a-z]/ { wanted = /^onnxruntime==/ } wanted' "$requirements" > "$scratch/onnxruntime.txt"
python3 -m pip download --quiet --no-deps --require-hashes --only-binary :all: -r "$scratch/onnxruntime.txt" -d "$scratch"
python3 -m zipfile -e "$scratch"/onnxruntime-*.whl "$scratch/wheel"
install -D -m 644 "$scratch"/wheel/onnxruntime/capi/libonnxruntime.so.* "$folder/libonnxruntime.so"
# What its licence asks to go along.
install -D -m 644 -t "$folder/onnxruntime-licences" "$scratch"/wheel/onnxruntime/{LICENSE,ThirdPartyNotices.txt}
