#!/usr/bin/env bash
# The programs of the images, stripped, from the folder FROM of Cargo's into TO: TO/bin/serve, and in TO/tools the program that
# contains all tools, with a link for each.
#   programs.sh FROM TO
set -euo pipefail

from=$1 to=$2
mkdir -p "$to/bin" "$to/tools"
strip -o "$to/bin/serve" "$from/serve"
strip -o "$to/tools/pipegrad" "$from/pipegrad"
for tool in $("$from/pipegrad" --list); do
  ln -s pipegrad "$to/tools/$tool"
done
