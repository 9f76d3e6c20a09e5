#!/usr/bin/env bash
# Says what is missing before an install fails with something longer. Usage: check-python.sh [python3]
set -euo pipefail

python=${1:-python3}

if ! command -v "$python" > /dev/null; then
  echo "check-python: no $python on PATH: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2
  exit 2
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "check-python: $("$python" --version) is too old: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2
  exit 2
fi
if ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
  echo "check-python: $python cannot make virtual environments: install python3-venv" >&2
  exit 2
fi
