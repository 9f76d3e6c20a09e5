# shellcheck shell=sh
# Puts the tools and DVC on PATH for this shell, and names the environment that ONNX Runtime is in. From the repository's root: . ./env.sh

if [ -f env.sh ] && [ -d tools ]; then
  pipegrad_path=${CARGO_TARGET_DIR:-$PWD/target}/release:$PWD/.venv/bin
  case $PATH: in
    "$pipegrad_path":*) ;;
    *) export PATH="$pipegrad_path:$PATH" ;;
  esac
  unset pipegrad_path
  if [ -d .venv ]; then
    export VIRTUAL_ENV="$PWD/.venv"
  fi
else
  echo "env.sh: not in pipegrad's root: cd there first" >&2
  false
fi
