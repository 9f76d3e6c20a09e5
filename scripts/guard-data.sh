#!/usr/bin/env bash
# Refuses data and model files in git: DVC keeps those. Small ones that a test reads may lie under a tests/ folder
# or in the corpus of the fuzz targets.
# Usage: guard-data.sh FILE...
set -euo pipefail

is_data() {
  case "${1,,}" in
    *.npy | *.npz | *.csv | *.tsv | *.ndjson | *.jsonl | *.parquet | *.h5 | *.hdf5) return 0 ;;
    *.onnx | *.safetensors | *.engine | *.plan | *.pt | *.pth | *.ckpt | *.pkl | *.bin) return 0 ;;
    *.gz | *.bz2 | *.xz | *.zst | *.zip | *.tar | *.tgz) return 0 ;;
    *) return 1 ;;
  esac
}

status=0
for file in "$@"; do
  case "$file" in
    tests/* | */tests/* | fuzz/corpus/*) continue ;;
    # A figure, as metrics.json is: what `dvc plots show` draws in a fresh clone.
    runs/entropy/history.csv) continue ;;
  esac
  if is_data "$file"; then
    echo "guard-data: $file: data and models stay out of git: make it a DVC output, or run 'dvc add $file'" >&2
    status=1
  fi
done
exit "$status"
