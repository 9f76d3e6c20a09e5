#!/usr/bin/env bash
# Writes what is handed to users into dist/: the wheel, and an archive with the same commands, manual pages and completions.
#   scripts/dist.sh [PROFILE]    # of Cargo; default: dist
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
profile=${1:-dist}
built=${CARGO_TARGET_DIR:-target}/$profile
maturin=${MATURIN:-.tools/dist/bin/maturin}

cargo build --locked --profile "$profile" --bin pipegrad
pipegrad=$built/pipegrad
version=$("$pipegrad" --version | cut -d' ' -f2)

# Manual pages and completions, into the folder $1.
share() {
  mkdir -p "$1"/man/man1 "$1"/bash-completion/completions "$1"/zsh/site-functions "$1"/fish/vendor_completions.d
  "$pipegrad" man > "$1/man/man1/pipegrad.1"
  for tool in init doctor $("$pipegrad" --list); do
    "$pipegrad" man "$tool" > "$1/man/man1/pipegrad-$tool.1"
  done
  "$pipegrad" completion zsh > "$1/zsh/site-functions/_pipegrad"
  # bash and fish look for a file of the command's name; export is a builtin of both.
  for command in pipegrad $("$pipegrad" --list | grep -vx export); do
    "$pipegrad" completion bash > "$1/bash-completion/completions/$command"
    "$pipegrad" completion fish > "$1/fish/vendor_completions.d/$command.fish"
  done
}

wheel() {
  local data=target/wheel/pipegrad.data
  rm -rf target/wheel
  mkdir -p "$data/scripts"
  for tool in $("$pipegrad" --list); do
    sed "s/@tool@/$tool/" scripts/wheel-command.sh > "$data/scripts/$tool"
    chmod +x "$data/scripts/$tool"
  done
  share "$data/data/share"
  "$maturin" build --strip --quiet --profile "$profile" --manifest-path tools/pipegrad/Cargo.toml --out dist
}

archive() {
  local name
  name=pipegrad-$version-$(uname -m)-linux
  local root=target/archive/$name
  rm -rf target/archive
  mkdir -p "$root/bin"
  cp "$pipegrad" "$root/bin/"
  strip "$root/bin/pipegrad"
  for tool in $("$pipegrad" --list); do
    ln -s pipegrad "$root/bin/$tool"
  done
  share "$root/share"
  cp README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$root/"
  # The same bytes from the same sources: no time, no owner, one order.
  tar --directory target/archive --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - "$name" | gzip -n -9 > "dist/$name.tar.gz"
}

mkdir -p dist
rm -f dist/pipegrad-*
wheel
archive
du -b dist/* "$pipegrad"
