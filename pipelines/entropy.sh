#!/usr/bin/env bash
# The main job as a shell pipeline: from a seed to a scored model, with nothing on disk but the run folder.
# Usage: pipelines/entropy.sh [RUN_DIR] [SEED]
set -euo pipefail

run_dir=${1:-runs/pipe}
seed=${2:-0}

gen-data --to npy seed="$seed" | entropy | train -o "$run_dir" trainer.seed="$seed" > /dev/null
pipegrad export "$run_dir"
infer --model "$run_dir/model.onnx" "$run_dir/test.npy" | score
