#!/bin/bash
# The main job in a container, in the folder /work, which may keep its results from one start to the next:
# runs the stages that changed, and then, where the environment names a place for it,
#   S3_ENDPOINT, S3_BUCKET   pushes data and models to this DVC remote (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)
#   MLFLOW_TRACKING_URI      logs the run to this server
#   MODELS                   puts the model into this folder, in the layout of a model repository
set -euo pipefail

source=/usr/share/pipegrad/job

prepare() {
  rm -rf configs
  cp -R "$source/." .
  if [[ ! -d .git ]]; then
    git init --quiet --initial-branch main .
  fi
}

push() {
  dvc remote add --quiet --local --force --default s3 "s3://${S3_BUCKET:-pipegrad}/dvc"
  dvc remote modify --quiet --local s3 endpointurl "$S3_ENDPOINT"
  dvc push
}

# Beside the run, so that its artifacts have the model too.
log() {
  pipegrad export runs/entropy
  track runs/entropy > /dev/null
}

# Renamed into place: a server that watches the folder never sees half a model.
publish() {
  local version=$MODELS/entropy/1
  mkdir -p "$version"
  cp models/entropy.onnx "$version/.model.onnx.tmp"
  mv "$version/.model.onnx.tmp" "$version/model.onnx"
}

prepare
# The address of a server is no parameter of the job.
env -u MLFLOW_TRACKING_URI dvc repro
[[ -z ${S3_ENDPOINT:-} ]] || push
[[ -z ${MLFLOW_TRACKING_URI:-} ]] || log
[[ -z ${MODELS:-} ]] || publish
