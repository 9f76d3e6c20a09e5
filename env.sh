# shellcheck shell=sh
# Puts the tools and DVC on PATH for this shell. From the repository's root: . ./env.sh

if [ -f env.sh ] && [ -d tools ]; then
  pipegrad_path=${CARGO_TARGET_DIR:-$PWD/target}/release:$PWD/.venv/bin
  case $PATH: in
    "$pipegrad_path":*) ;;
    *) export PATH="$pipegrad_path:$PATH" ;;
  esac
  unset pipegrad_path
else
  echo "env.sh: not in pipegrad's root: cd there first" >&2
  false
fi
