#!/usr/bin/env bash
# Installs pinned packages into a virtual environment without what only development needs: python.sh FOLDER requirements.txt...
# Each file is installed by itself and lists all packages that it needs, so nothing is resolved.
set -euo pipefail

venv=$1
shift

python3 -m venv --without-pip "$venv"
for requirements in "$@"; do
  python3 -m pip --python "$venv/bin/python" install --quiet --no-compile --no-deps --require-hashes -r "$requirements"
done

cd "$venv"/lib/python3.*/site-packages
find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.c' -o -name '*.a' \) -delete
# The descriptions of hundreds of AWS services; DVC calls S3 and what signs in to it.
if [[ -d botocore/data ]]; then
  find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name 'sso*' -exec rm -rf {} +
fi
