#!/usr/bin/env bash
# Draws the pictures of docs/plot.md again, from seed to SVG; the tools are on PATH (. ./env.sh).
#   scripts/plot-pictures.sh [FOLDER]    # default: docs/pictures
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
pictures=$(realpath "${1:-docs/pictures}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$root/configs" "$work/configs"
cd "$work"

gen-data rows=5000 --to npy | entropy > rows.npy

for optimizer in adam sgd; do
  for rate in 1e-4 1e-3 1e-2 1e-1; do
    for seed in 0 1; do
      train --quiet -o "runs/$optimizer-$rate-$seed" optimizer=$optimizer optimizer.learning_rate=$rate \
        trainer.seed=$seed trainer.max_epochs=8 rows.npy > /dev/null
    done
  done
done
train --quiet -o smoothed trainer.log_every_steps=1 trainer.max_epochs=40 rows.npy > /dev/null
train --find-learning-rate -o finder rows.npy > /dev/null

plot runs/* x=epoch 'charts=[loss]' -o - > "$pictures/plot-sweep.svg"
plot smoothed smoothing=0.8 'charts=[loss]' -o - > "$pictures/plot-smoothing.svg"
plot finder -o - > "$pictures/plot-finder.svg"

# What a network costs does not depend on its weights.
awk -f "$root/pipelines/tensorrt/images.awk" |
  train --quiet -o resnet18 model=resnet18 trainer.input_field=image trainer.target_field=label trainer.loss=cross_entropy \
    trainer.max_steps=1 trainer.batch_size=20 > /dev/null
pipegrad export resnet18 -o resnet18.onnx export.check_rows=1
profile resnet18.onnx profile.batch_size=8 devices=a100 --to json | plot -o - > "$pictures/plot-roofline.svg"
