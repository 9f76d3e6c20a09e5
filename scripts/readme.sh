#!/usr/bin/env bash
# Runs the README as a reader would: the fenced blocks marked `sh`, from top to bottom, in one shell at the root.
# Blocks with another mark (`console`, `text`) are shown only. Usage: readme.sh [README.md]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readme=${1:-README.md}

commands=$(awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$readme")
if [[ -z $commands ]]; then
  echo "readme: $readme: no block marked \`sh\`: nothing would be checked" >&2
  exit 1
fi
bash -euxo pipefail -c "$commands" < /dev/null
