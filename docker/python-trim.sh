#!/usr/bin/env bash
# Makes the Python below ROOT smaller and quicker to start: python-trim.sh [--sourceless] ROOT FOLDER
# FOLDER is the virtual environment. With --sourceless only compiled modules stay, which halves them.
set -euo pipefail

sourceless=false
if [[ $1 == --sourceless ]]; then
  sourceless=true
  shift
fi
root=$1
venv=$2
stdlib=$(echo "$root"/usr/lib/python3.*)

rm -rf "$stdlib"/{config-*,ensurepip,idlelib,lib2to3,pydoc_data,sitecustomize.py,test,tkinter,turtledemo,turtle.py}
find "$root" -type d -name __pycache__ -prune -exec rm -rf {} +
rm -rf "$venv"/include "$venv"/lib/python3.*/site-packages/*-stubs
find "$venv" -maxdepth 2 -path '*/bin/*' \( -iname 'activate*' -o -name 'pip*' \) -delete
# Libraries that a wheel carries for its modules (NAME.libs) were edited after linking, which strip does not expect.
find "$venv" -name '*.so' -type f ! -path '*.libs/*' -exec strip --strip-unneeded {} +

options=(-q -j 0 -s "$root" -p / --invalidation-mode unchecked-hash)
folders=("$stdlib" "$venv"/lib)
if $sourceless; then
  # A package may carry templates that are no Python yet: what does not compile stays as it is.
  python3 -m compileall "${options[@]}" -b "${folders[@]}" || true
  find "${folders[@]}" -name '*.py' -exec sh -c 'for source; do if [ -e "${source}c" ]; then rm "$source"; fi; done' sh {} +
else
  python3 -m compileall "${options[@]}" "${folders[@]}" || true
fi
