#!/usr/bin/env bash
# Builds the root of an image FROM scratch out of this system: collect.sh ROOT PATH...
# Each PATH, a file or a folder, is copied to the same place below ROOT, with the shared libraries that its programs need.
# A PATH of the form dpkg:NAME is what the Debian package NAME installed, without documentation and translations.
set -euo pipefail

root=$1
shift

skeleton() {
  mkdir -p "$root"/{dev,etc,home,proc,run,sys,usr/{bin,lib,lib64,sbin}}
  local name
  for name in bin lib lib64 sbin; do
    ln -sfn "usr/$name" "$root/$name"
  done
  install -d -m 1777 "$root/tmp" "$root/var/tmp"
  printf '%s\n' 'root:x:0:0:root:/root:/sbin/nologin' 'pipegrad:x:65532:65532:pipegrad:/home/pipegrad:/sbin/nologin' > "$root/etc/passwd"
  printf '%s\n' 'root:x:0:' 'pipegrad:x:65532:' > "$root/etc/group"
  printf '%s\n' 'hosts: files dns' > "$root/etc/nsswitch.conf"
  install -d -o 65532 -g 65532 "$root/home/pipegrad"
}

# On Debian /bin and /lib are links to /usr/bin and /usr/lib: a file has one place.
place() {
  printf '%s%s/%s\n' "$root" "$(realpath "$(dirname "$1")")" "$(basename "$1")"
}

copy() {
  local to
  to=$(place "$1")
  mkdir -p "$(dirname "$to")"
  if [[ -d $1 && ! -L $1 ]]; then
    mkdir -p "$to"
    cp -a "$1/." "$to/"
  else
    cp -a "$1" "$to"
    # A link is copied with what it names.
    if [[ -L $1 && ! -e $to ]]; then
      copy "$(realpath "$1")"
    fi
  fi
}

of_package() {
  dpkg -L "$1" | grep '^/' | grep -vE '^/usr/share/(doc|man|info|locale|lintian|bug|bash-completion)(/|$)' |
    while read -r path; do
      if [[ -f $path || -L $path ]]; then
        printf '%s\n' "$path"
      fi
    done
}

# The libraries that what is below ROOT loads. ldd also names those of a library; of a script it says that it is none. The
# driver of a GPU is the host's.
libraries() {
  local loaded
  loaded=$(find "$root" -type f \( -perm -u+x -o -name '*.so*' \) -print0 | { xargs -0 -r -n 64 ldd 2> /dev/null || true; })
  if grep 'not found' <<< "$loaded" | grep -v 'libcuda\.so\.1 ' >&2; then
    return 1
  fi
  awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\/.*ld-linux/ { print $1 }' <<< "$loaded" | sort -u
}

skeleton
for path in "$@"; do
  if [[ $path == dpkg:* ]]; then
    of_package "${path#dpkg:}" | while read -r file; do copy "$file"; done
  else
    copy "$path"
  fi
done
libraries > "$root/libraries"
while read -r library; do
  if [[ ${library#"$root"} == "$library" && ! -e $(place "$library") ]]; then
    mkdir -p "$(dirname "$(place "$library")")"
    cp -L --preserve=mode,timestamps "$library" "$(place "$library")"
  fi
done < "$root/libraries"
rm "$root/libraries"
