"""Assembles the root file systems of the images from docker/Dockerfile, without a container engine.

The steps are the Dockerfile's own: COPY copies, RUN runs under chroot on an overlay of the stage that it is FROM. Two things
differ. Base images cannot be had where there is no engine: a Debian one is made by debootstrap, or the machine's own root
serves as one (`--base host`: quick, and right only on the same Debian). And the stage `build` is not run: its programs are
those of `--binaries`.

    python docker/rootfs.py serve train --binaries target/release

Needs root, since it mounts and changes roots. The result is in target/containers/TARGET.
"""

import argparse
import ctypes
import fcntl
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
FOLDER = ROOT / "target" / "containers"
# What only says something about the running container; `Image` keeps what the tests use.
NOTES = {"EXPOSE", "STOPSIGNAL", "LABEL", "VOLUME"}
PROGRAM_STAGE = "build"


@dataclass
class Stage:
    name: str
    base: str
    steps: list = field(default_factory=list)


@dataclass
class Image:
    """A stage as far as it is assembled: its files and the configuration that a container starts with."""

    root: Path
    env: dict = field(default_factory=dict)
    user: str = "0:0"
    folder: str = "/"
    entrypoint: list = field(default_factory=list)
    command: list = field(default_factory=list)
    healthcheck: list = field(default_factory=list)

    def start(self, *arguments):
        """The command line of a container of this image."""
        return [*self.entrypoint, *(arguments or self.command)]


def parse(text):
    """The stages of a Dockerfile by name."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stages = {}
    for step in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if not step.strip():
            continue
        word, rest = step.strip().split(None, 1)
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()
            stage = stages[name] = Stage(name, base)
        else:
            stage.steps.append((word, rest))
    return stages


def as_regex(pattern):
    """A pattern of .dockerignore; what it matches includes all that is below."""
    forms = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    words = re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern)
    return re.compile("".join(forms.get(word, re.escape(word)) for word in words) + "(?:/.*)?")


def context():
    """The files that an engine is sent, but for what git ignores: the last pattern of .dockerignore that matches decides."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    patterns = [(as_regex(line.removeprefix("!")), line.startswith("!")) for line in lines]
    listed = subprocess.run(["git", "ls-files", "-zco", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        kept = [keep for pattern, keep in patterns if pattern.fullmatch(name)]
        if (not kept or kept[-1]) and (ROOT / name).is_file():
            yield name


def options(rest):
    """The leading --name=value words of a step, and what follows them."""
    found = []
    while match := re.match(r"--([\w-]+)=(\S+)\s+", rest):
        found.append(match.groups())
        rest = rest[match.end() :]
    return found, rest


class Builder:
    def __init__(self, binaries, base, folder=FOLDER):
        self.stages = parse(DOCKERFILE.read_text())
        self.binaries, self.base, self.folder = binaries, base, folder
        self.images, self.layers = {}, {}
        self.uppers = folder / "layers"
        shutil.rmtree(self.uppers, ignore_errors=True)
        self.uppers.mkdir(parents=True)
        if base == "host":
            # An overlay's own files may not be below what it lies on.
            mount("tmpfs", self.uppers, "-t", "tmpfs")

    def image(self, name):
        """The assembled stage, or the base image, of this name."""
        if name not in self.images:
            self.images[name] = self.assemble(self.stages[name]) if name in self.stages else self.pull(name)
        return self.images[name]

    def pull(self, name):
        """A base image."""
        if name == "scratch":
            return Image(None)
        if not (match := re.fullmatch(r"debian:(\w+)-slim", name)):
            sys.exit(f"rootfs: base image {name} cannot be made here")
        if self.base == "host":
            root = Path("/")
        else:
            root = self.folder / "base" / match[1]
            if not (root / ".complete").exists():
                debootstrap(match[1], root)
        self.layers[name] = [root]
        return Image(root, {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})

    def assemble(self, stage):
        if stage.name == PROGRAM_STAGE:
            return self.programs()
        base = self.image(stage.base)
        root = self.mount(stage, base)
        image = Image(root, dict(base.env), base.user, base.folder, list(base.entrypoint), list(base.command))
        for word, rest in stage.steps:
            if word not in NOTES:
                getattr(self, f"step_{word.lower()}")(image, rest)
        return image

    def programs(self):
        """The programs that were built here in place of those that the stage would build."""
        root = self.folder / PROGRAM_STAGE
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run([ROOT / "docker/programs.sh", self.binaries, root / "out"], check=True)
        return Image(root)

    def mount(self, stage, base):
        """The folder that a stage's files are in: on a base, an overlay."""
        root = self.folder / stage.name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        if base.root is None:
            self.layers[stage.name] = None
            return root
        if (below := self.layers[stage.base]) is None:
            subprocess.run(["cp", "-a", f"{base.root}/.", root], check=True)
            self.layers[stage.name] = None
            return root
        upper, work = self.uppers / stage.name, self.uppers / f"{stage.name}.work"
        for path in [upper, work]:
            path.mkdir()
        lower = ":".join(map(str, below))
        mount("overlay", root, "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}")
        self.layers[stage.name] = [upper, *below]
        return root

    def step_copy(self, image, rest):
        found, rest = options(rest)
        found = dict(found)
        *sources, target = shlex.split(rest)
        to = os.path.join(image.folder, target).lstrip("/")
        if "from" in found:
            # The only form in use: one folder or file, with its owners and modes.
            ((source,), origin) = sources, self.image(found.pop("from")).root
            self.copy(origin / source.lstrip("/"), image.root / to, target)
        else:
            owner, mode = found.pop("chown", "0:0"), found.pop("chmod", None)
            for source in sources:
                for place in self.copy_from_context(source, image.root / to, target.endswith("/")):
                    subprocess.run(["chown", owner, place], check=True)
                    if mode:
                        subprocess.run(["chmod", mode, place], check=True)
        if found:
            sys.exit(f"rootfs: COPY: unknown options {found}")

    @staticmethod
    def copy(source, place, target):
        if source.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", f"{source}/.", place], check=True)
        else:
            place = place / source.name if target.endswith("/") else place
            place.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", source, place], check=True)

    @staticmethod
    def copy_from_context(source, to, is_folder):
        """Copies a file, the contents of a folder, or what a pattern names; yields what it created."""
        names = list(context())
        chosen = [(name, os.path.relpath(name, source)) for name in names if name.startswith(f"{source}/")]
        if not chosen:
            chosen = [(name, os.path.basename(name) if is_folder else "") for name in names if fnmatch.fnmatch(name, source)]
        if not chosen:
            sys.exit(f"rootfs: COPY: {source} is not in the context")
        for name, below in chosen:
            place = to / below if below else to
            new = [folder for folder in [place.parent, *place.parent.parents] if not folder.exists()]
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place)
            yield from [place, *new]

    def step_run(self, image, rest):
        found, command = options(rest)
        binds = []
        for name, value in found:
            mount_options = dict(part.split("=") for part in value.split(","))
            assert (name, mount_options["type"]) == ("mount", "cache"), f"rootfs: RUN --{name}={value}"
            cache = self.folder / "cache" / mount_options["target"].strip("/").replace("/", "-")
            cache.mkdir(parents=True, exist_ok=True)
            binds.append((cache, mount_options["target"]))
        run_step(image, command, binds)

    def step_env(self, image, rest):
        image.env |= dict(word.split("=", 1) for word in shlex.split(rest))

    def step_user(self, image, rest):
        image.user = rest.strip()

    def step_workdir(self, image, rest):
        image.folder = rest.strip()
        path = image.root / image.folder.lstrip("/")
        path.mkdir(parents=True, exist_ok=True)

    def step_entrypoint(self, image, rest):
        image.entrypoint = json.loads(rest)
        image.command = []

    def step_cmd(self, image, rest):
        image.command = json.loads(rest)

    def step_healthcheck(self, image, rest):
        image.healthcheck = json.loads(options(rest)[1].removeprefix("CMD"))


def mount(source, target, *arguments):
    subprocess.run(["mount", *arguments, source, target], check=True)


def debootstrap(suite, root):
    """A minimal Debian, from the archive that this machine's own packages are from."""
    if not shutil.which("debootstrap"):
        sys.exit("rootfs: debootstrap is missing: apt-get install debootstrap, or use --base host")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    sources = [*Path("/etc/apt").glob("sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = "\n".join(path.read_text() for path in sources if path.suffix in {".list", ".sources"})
    mirror = re.search(r"^(?:URIs:|deb(?: \[.*?\])?)\s+(\S+)", text, re.M)[1]
    subprocess.run(["debootstrap", "--variant=minbase", suite, root, mirror], check=True, stdout=subprocess.DEVNULL)
    (root / ".complete").touch()


def unshare(script, *namespaces):
    """The command line of a shell script with mounts of its own."""
    return ["unshare", "--mount", "--propagation", "private", *namespaces, "sh", "-euc", "\n".join(script)]


def run_step(image, command, binds):
    """Runs a command in a stage, with this machine's network, proxies and certificates, which are no part of it."""
    root = image.root
    env = {name: value for name, value in os.environ.items() if re.search(r"_proxy$|^PIP_(?!FIND_LINKS)", name, re.I)}
    binds = [(Path("/etc/resolv.conf"), "/etc/resolv.conf"), (Path("/etc/apt/apt.conf.d"), "/etc/apt/apt.conf.d"), *binds]
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():
        binds.append((certificates, "/run/certificates.crt"))
        env["PIP_CERT"] = "/run/certificates.crt"
    script = [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    for source, target in binds:
        place = f"{root}{target}"
        script.append(f"mkdir -p {place}" if source.is_dir() else f"mkdir -p $(dirname {place}) && touch -a {place}")
        script.append(f"mount --bind {source} {place}")
    variables = image.env | env | {"DEBIAN_FRONTEND": "noninteractive"}
    words = ["chroot", root, "env", "-i", *(f"{name}={value}" for name, value in variables.items())]
    words += ["sh", "-c", f"cd {image.folder} && {command}"]
    script.append(f"exec {shlex.join(map(str, words))}")
    done = subprocess.run(unshare(script))
    if done.returncode != 0:
        sys.exit(f"rootfs: exit status {done.returncode}: {command}")


def container(image, *arguments, env=None, writable=None, user=None, network=True):
    """The command line that starts a program in an image as a container does: as its user, without capabilities, with its
    environment alone, a read-only root with /tmp in memory, and processes of its own. `writable`: folders of it to those here."""
    root = image.root
    script = [f"mount --rbind {root} {root}", f"mount -o remount,ro,bind {root}", f"mount -t proc proc {root}/proc"]
    script += [f"mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs {root}/tmp", f"mount -t tmpfs -o mode=755 tmpfs {root}/dev"]
    for device in ["null", "zero", "full", "random", "urandom"]:
        script += [f"touch {root}/dev/{device}", f"mount --bind /dev/{device} {root}/dev/{device}"]
    script += [f"ln -s /proc/self/fd {root}/dev/fd", f"mkdir -m 1777 {root}/dev/shm"]
    script += [f"mount --bind {source} {root}{target}" for target, source in (writable or {}).items()]
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/"} | image.env | (env or {})
    inside = [root, user or image.user, image.folder, json.dumps(variables), *(arguments or image.start())]
    script.append(f"exec {shlex.join(map(str, [sys.executable, __file__, '--enter', *inside]))}")
    return unshare(script, "--pid", "--fork", "--kill-child", "--ipc", "--uts", *([] if network else ["--net"]))


def enter(root, user, folder, variables, *arguments):
    """Becomes the program of a container, after the mounts."""
    uid, gid = map(int, user.split(":"))
    with socket.socket() as any_socket:
        # In a network of its own, loopback is down: SIOCSIFFLAGS, IFF_UP.
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1))
    os.chroot(root)
    os.chdir(folder)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    # PR_SET_PDEATHSIG: what `unshare --kill-child` asked for ended with the change of user.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.execvpe(arguments[0], arguments, json.loads(variables))


def load(target, folder=FOLDER):
    """An image that was assembled before."""
    described = json.loads((folder / f"{target}.json").read_text())
    return Image(**described | {"root": Path(described["root"])})


def sizes(root):
    """Bytes of the files, each counted once, and of their tar archive as gzip and zstd pack it."""
    found = [path.lstat() for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    files = sum({status.st_ino: status.st_size for status in found}.values())
    tar = subprocess.run(["tar", "-C", root, "-c", "."], check=True, capture_output=True).stdout
    programs = [["gzip", "-c"], ["zstd", "-c"]]
    return files, *(len(subprocess.run(program, input=tar, check=True, capture_output=True).stdout) for program in programs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="+", help="stages of docker/Dockerfile")
    parser.add_argument("--binaries", type=Path, default=ROOT / "target/release", help="folder of the built programs")
    parser.add_argument("--base", choices=["debootstrap", "host"], default="debootstrap", help="where Debian is from")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the results go")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("rootfs: needs root, to mount and to change roots")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if "ROOTFS_MOUNTS" not in os.environ:
        # Mounts of its own, which end with it.
        again = ["unshare", "--mount", "--propagation", "private", sys.executable, __file__, *sys.argv[1:]]
        os.execvpe(again[0], again, os.environ | {"ROOTFS_MOUNTS": "own"})
    builder = Builder(arguments.binaries.resolve(), arguments.base, arguments.folder.resolve())
    print(f"{'image':<10}{'MB':>8}{'gzip MB':>10}{'zstd MB':>10}")
    for target in arguments.targets:
        image = builder.image(target)
        (builder.folder / f"{target}.json").write_text(json.dumps(vars(image) | {"root": str(image.root)}))
        files, gzip, zstd = (size / 1e6 for size in sizes(image.root))
        print(f"{target:<10}{files:>8.1f}{gzip:>10.1f}{zstd:>10.1f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--enter"]:
        enter(*sys.argv[2:])
    main()
