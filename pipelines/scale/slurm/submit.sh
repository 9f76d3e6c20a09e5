#!/bin/bash
# Rows in shards, their merge, a sweep over seeds, and its table: four jobs, of which each waits for the whole of the one before.
# Usage: submit.sh ROWS SHARDS SEEDS
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage="submit.sh: expected the number of rows, of shards, and of seeds"
rows=${1:?"$usage"} shards=${2:?"$usage"} seeds=${3:?"$usage"}

# afterok on an array is all of its tasks with exit code 0; what can then never run is cancelled, and not left in the queue.
after() {
  sbatch --parsable --kill-on-invalid-dep=yes --dependency="afterok:$1" "${@:2}"
}

mkdir -p logs # Slurm creates no folder for --output
sweep --run-dir runs/sweep "trainer.seed=range(0,$seeds)" -o jobs.txt
shards_id=$(sbatch --parsable --array="1-$shards" "$here/shards.sbatch" "$shards" parts rows="$rows")
merge_id=$(after "$shards_id" "$here/merge.sbatch" "$shards" parts rows.npy)
sweep_id=$(after "$merge_id" --array="1-$seeds" "$here/sweep.sbatch" jobs.txt rows.npy)
compare_id=$(after "$sweep_id" --job-name=compare --output=logs/%x-%j.log --wrap 'compare runs/sweep -o runs.csv')
echo "$shards_id $merge_id $sweep_id $compare_id"
