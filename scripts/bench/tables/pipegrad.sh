#!/usr/bin/env bash
# From train.csv and test.csv to the score of the test rows, as JSON. The target is the last column.
# Usage: pipegrad.sh FOLDER classification|regression EPOCHS SEED [SETTING...]
set -euo pipefail

folder=$1 task=$2 epochs=$3 seed=$4
IFS=, read -r header < "$folder/train.csv"
target=${header##*,}

settings=(
  "trainer.input_field=[${header%,*}]" trainer.target_field="$target" 'trainer.split=[1,0,0]' trainer.seed="$seed"
  trainer.max_epochs="$epochs" trainer.batch_size=32 'model.hidden=[100]' model.input_scaling=standard
  optimizer.learning_rate=1e-3
)
case $task in
  classification)
    settings+=(trainer.loss=cross_entropy)
    scoring=(score=classification)
    ;;
  regression)
    settings+=(trainer.loss=mse model.target_scaling=standard)
    scoring=()
    ;;
esac
settings+=("${@:5}")

train "$folder/train.csv" -o run --quiet "${settings[@]}" > /dev/null
if grep -q '"classes"' run/features.json; then # they are text
  scoring+=(--classes run/features.json)
fi
pipegrad export run
infer -m run/model.onnx "$folder/test.csv" --to ndjson | score score.target_field="$target" "${scoring[@]}"
