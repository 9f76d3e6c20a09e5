#!/usr/bin/env bash
# Makes the pictures of docs/plot.md anew, from seed to SVG. Usage: plot-pictures.sh; the tools are on PATH (. ./env.sh).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
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

plot runs/* x=epoch 'charts=[loss]' -o - > "$root/docs/pictures/plot-sweep.svg"
plot smoothed smoothing=0.8 'charts=[loss]' -o - > "$root/docs/pictures/plot-smoothing.svg"
plot finder -o - > "$root/docs/pictures/plot-finder.svg"
