"""Completion in the real shells, and its candidates against the files of configs/."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest
import yaml
from peers import BIN, ROOT, tensorrt

ENV = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "PS1": "$ ", "TERM": "dumb"}
CONFIGS = ROOT / "configs"
# The groups that each tool reads, as its page says.
GROUPS = {
    "gen-data": ["data"],
    "entropy": ["entropy"],
    "relu": ["relu"],
    "train": ["model", "optimizer", "scheduler", "callbacks", "augmentation", "features", "trainer", "data"],
    "export": ["export"],
    "infer": ["infer", "data"],
    "serve": ["serve"],
    "score": ["score"],
    "plot": ["plot"],
    "compare": ["compare"],
    "profile": ["profile", "devices"],
} | ({"trt-build": ["trt"]} if tensorrt() else {})
TOOLS = [*GROUPS, "compose", "sweep"]
SHELLS = ["bash", "zsh", "fish"]
# Seconds that a shell may take to start or to answer before it is taken to hang.
PATIENCE = 30


def ask(line, folder=ROOT):
    """What the scripts are told: what the shell adds of its own, and the candidates with what they are."""
    done = subprocess.run([BIN / "pipegrad", "--complete", line], capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), line
    first, *rest = done.stdout.splitlines() or ["words\t"]
    return first, dict(line.split("\t") for line in rest)


def need(shell):
    """The shell, or a skip. In CI, where root could have installed it, its absence is a failure."""
    if shutil.which(shell):
        return
    if os.environ.get("CI") and os.geteuid() == 0 and shutil.which("apt-get"):
        pytest.fail(f"{shell} is not installed")
    pytest.skip(f"{shell} is not installed")


CHOICES = sorted(
    (tool, group, option) for tool, groups in GROUPS.items() for group in groups for option in (CONFIGS / group).iterdir()
)


@pytest.mark.parametrize("tool, group", sorted({(tool, group) for tool, group, _ in CHOICES}))
def test_options_are_the_files_of_the_group(tool, group):
    options = {f"{group}={file.stem}" for file in (CONFIGS / group).glob("*.yaml")}
    assert set(ask(f"{tool} {group}=")[1]) == options
    assert set(ask(f"pipegrad {tool} {group}=")[1]) == options


def words(settings, before=""):
    """What is offered of a mapping: a key leads on to its value, or into the mapping that it holds."""
    return {f"{before}{key}{'.' if isinstance(value, dict) else '='}" for key, value in settings.items()}


@pytest.mark.parametrize("tool, group, option", CHOICES, ids=lambda part: getattr(part, "stem", part))
def test_keys_are_those_of_the_option_chosen(tool, group, option):
    chosen, settings = option.stem, yaml.safe_load(option.read_text())
    if "defaults" in settings:
        # Another option by a second name: its keys are those of that one.
        (other,) = settings["defaults"]
        option = option.with_stem(other)
        settings = yaml.safe_load(option.read_text())
    found = ask(f"{tool} {group}={chosen} {group}.")[1]
    assert set(found) == words(settings, f"{group}.")
    for key, inner in settings.items():
        if isinstance(inner, dict):
            assert set(ask(f"{tool} {group}={chosen} {group}.{key}.")[1]) == words(inner, f"{group}.{key}.")
        else:
            # The comment behind the key in the file.
            (line,) = re.findall(rf"^{key}:.*$", option.read_text(), re.MULTILINE)
            assert found[f"{group}.{key}="] == line.partition(" # ")[2]
    if GROUPS[tool] == [group]:
        assert set(ask(f"{tool} {group}={chosen} ")[1]) == words(settings) | {f"{group}="}


def leaves(settings, before):
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


# Choices that a machine without a GPU refuses.
NEED_A_GPU = {"cuda", "bf16", "tf32"}


@pytest.mark.parametrize("tool, group, option", CHOICES, ids=lambda part: getattr(part, "stem", part))
def test_choices_are_those_that_the_tool_takes(tool, group, option, tmp_path):
    """The comments of configs/ name the choices of a setting; the tool's types must say the same."""

    def said(setting):
        command = [BIN / tool, f"{group}={option.stem}", setting]
        return subprocess.run(command, cwd=tmp_path, input="", capture_output=True, text=True).stderr

    for key, value in leaves(yaml.safe_load(option.read_text()), f"{group}."):
        offered = {word.removeprefix(f"{key}=") for word in ask(f"{tool} {group}={option.stem} {key}=", tmp_path)[1]}
        listed = re.search(r'"xyzzy" is not one of ([^;\n]*)', said(f"{key}=xyzzy"))
        if listed and not isinstance(value, list) and key.split(".")[-1] not in ("name", "kind", "task"):
            assert offered - {"null"} == set(listed[1].split(", ")), key
        if len(offered) > 1:
            assert not any(key in said(f"{key}={choice}") for choice in offered - NEED_A_GPU), key


def test_the_whole_job_is_what_its_primary_config_chooses():
    groups = [group for entry in yaml.safe_load((CONFIGS / "entropy.yaml").read_text())["defaults"] if entry != "_self_" for group in entry]
    assert set(ask("compose ")[1]) == {f"{group}=" for group in groups} | {f"{group}." for group in groups}
    assert set(ask("train ")[1]) == {f"{group}{end}" for group in GROUPS["train"] for end in "=."}


@pytest.mark.parametrize(
    "line",
    [
        "mod",
        "model=",
        "trainer.",
        "optimizer.learning_rate=",
        "model.hidden.",
        "data=line data.no",
        "score=classification score.",
        "+re",
        "~opt",
        "trainer.batch_size=32 trainer.ba",
    ],
)
def test_candidates_are_those_of_hydra(line, tmp_path):
    app = tmp_path / "app.py"
    main = f"@hydra.main(version_base=None, config_path={str(CONFIGS)!r}, config_name='entropy')\ndef main(config): pass"
    app.write_text(f"import hydra\n{main}\nmain()\n")
    command = [sys.executable, app, "-sc", "query=bash"]
    env = os.environ | {"COMP_LINE": f"python app.py {line}"}
    theirs = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    ours = ask(f"compose {line}")[1].keys()
    # Hydra leads into a list, and not to its keys' removal.
    ours = {word for word in ours if not (word.startswith("~") and word.endswith("."))}
    assert ours == {re.sub(r"(\.split|\.hidden)\.$", r"\1=", word) for word in theirs}


@pytest.mark.parametrize("tool", TOOLS)
def test_every_flag_of_help_is_offered_and_says_what_its_value_is(tool):
    text = subprocess.run([BIN / tool, "--help"], capture_output=True, text=True, check=True).stdout
    flags = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.MULTILINE))
    assert set(ask(f"{tool} --")[1]) == flags | {"--version"}
    if "--out" in flags:
        assert ask(f"{tool} --out ")[0].strip() in ("files", "folders")
        assert ask(f"{tool} -o ")[0].strip() in ("files", "folders")
    for flag in {"--to", "--format", "--dtype", "--info"} & flags:
        assert len(ask(f"{tool} {flag} ")[1]) > 1
    assert ask(f"{tool} --config-dir ")[0].strip() == "folders"
    assert ask(f"{tool} --config ")[0].strip() == "files"


def test_a_line_that_makes_no_sense_has_no_error(tmp_path):
    (tmp_path / "configs" / "data").mkdir(parents=True)
    (tmp_path / "configs" / "data" / "bad.yaml").write_text("rows: [1\n")
    (tmp_path / "configs" / "data" / "rude.yaml").write_text("# \x1b[2J\nrows: 1 # \x1b]0;title\x07\n")
    lines = ["", " ", "train", "nonsense ", "train =", "train ~", "train + ", "train '", 'train "\\', "train \\", "train é=", "train -- -"]
    lines += ["train --config nowhere ", "train --config-dir nowhere x", "train --threads ", "train ----=", "pipegrad nonsense x"]
    lines += ["gen-data data=bad ", "gen-data data=bad data.", "compose data=bad x", "gen-data data=rude ", "gen-data data="]
    for line in lines:
        assert "\x1b" not in str(ask(line, tmp_path))


@pytest.fixture
def folder(tmp_path):
    """A home, and configs with what shells find difficult."""
    (tmp_path / "runs" / "my run").mkdir(parents=True)
    (tmp_path / "some rows.npy").touch()
    model = tmp_path / "more" / "model"
    model.mkdir(parents=True)
    (model / "deep.yaml").write_text("name: deep\nact:\n  kind: relu # of them\n  leaky: false\nratio: a:b\n")
    return tmp_path


# What is typed, with tabs, and the words that the command then gets.
TYPED = [
    ("train mod\t=m\t", ["model=mlp"]),
    ("train trainer=\t", ["trainer=default"]),
    ("train model=m\t optim\t.weight\t1e-3", ["model=mlp", "optimizer.weight_decay=1e-3"]),
    ("gen-data data=line no\t0.5", ["data=line", "noise=0.5"]),
    ("gen-data ro\t3 --to=np\t", ["rows=3", "--to=npy"]),
    ("gen-data --to nd\t pul\tt\t", ["--to", "ndjson", "pull=true"]),
    ("train --config-dir mo\t model=d\t model.a\tk\tr\t", ["--config-dir", "more", "model=deep", "model.act.kind=relu"]),
    ("train -cd more model=deep model.ra\ta\tx", ["-cd", "more", "model=deep", "model.ratio=a:b", "x"]),
    ("sweep optimizer=adam,sg\t trainer.see\t0,1", ["optimizer=adam,sgd", "trainer.seed=0,1"]),
    ("train model.hid\t\t", ["model.hidden=[64,64]"]),
    ('train "model=m\t', ["model=mlp"]),
    ("train some\t --out ru\tm\t", ["some rows.npy", "--out", "runs/my run"]),
    ("train --out=ru\tm\t", ["--out=runs/my run"]),
    ("infer infer.onnx\t./so\t", ["infer.onnxruntime=./some rows.npy"]),
    ("pipegrad export runs\tmy\t opse\t9", ["export", "runs/my run", "opset=9"]),
    ("pipegrad trai\t '~mod\t'", ["train", "~model"]),
    ("true | A=b train model=m\t", ["model=mlp"]),
]


class Shell:
    """An interactive shell in which the commands print the words that they get."""

    ARGUMENTS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}

    def __init__(self, shell, folder):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(shell, [shell, *self.ARGUMENTS[shell]], ENV | {"HOME": str(folder)})
        self.run(f'eval "$(pipegrad completion {shell})"; printf "<%s>" ""')
        for command in {*TOOLS} - {"export"}:
            self.run(f'{command}() {{ printf "<%s>" "$@" ""; }}; {command}')
        self.run('pipegrad() { if [[ $1 == --complete ]]; then command pipegrad "$@"; else train "$@"; fi; }; train')

    def run(self, line):
        """Types the line and Enter; returns the words between < and > of which the last is empty."""
        os.write(self.fd, line.encode() + b"\r")
        seen, deadline = "", time.monotonic() + PATIENCE
        while not (found := re.search(r"((?:<[^<>]*>)*)<>", seen)):
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{line!r}: no answer; seen {seen!r}"
            seen += os.read(self.fd, 4096).decode(errors="replace")
        return re.findall(r"<([^<>]*)>", found[1])

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_what_is_typed_is_completed(shell, folder):
    need(shell)
    session = Shell(shell, folder)
    for typed, words in TYPED:
        # zsh takes the slash behind a folder away again when the word ends there.
        assert [word.removesuffix("/") for word in session.run(typed)] == words, typed
    session.close()


@pytest.mark.parametrize(
    "line, candidates",
    [
        ("train mod", ["model=", "model."]),
        ("train trainer=", ["trainer=default"]),
        ("gen-data data=line no", ["noise="]),
        ("gen-data --to=n", ["--to=npy", "--to=ndjson"]),
        ("train --config-dir more model=d", ["model=deep"]),
        ("train --config-dir more model=deep model.a", ["model.act."]),
        ('train "model=m', ["model=mlp"]),
        ("train so", ["some rows.npy"]),
        ("train some\\ ro", ["some rows.npy"]),
        ("train --out ru", ["runs/"]),
        ("train --out=ru", ["--out=runs/"]),
        ("infer infer.onnxruntime=./so", ["infer.onnxruntime=./some rows.npy"]),
        ("pipegrad export runs", ["runs/"]),
        ("pipegrad tra", ["train", "track"]),
        ("train ~mod", ["~model", "~model."]),
        ("true | A=b train model=m", ["model=mlp"]),
        ("train --expect-rows ", []),
    ],
)
def test_fish_has_the_candidates(line, candidates, folder):
    need("fish")
    script = "pipegrad completion fish | source; complete -C $argv[1]"
    command = ["fish", "--no-config", "-c", script, "--", line]
    done = subprocess.run(command, cwd=folder, env=ENV | {"HOME": str(folder)}, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr == ""
    assert sorted(line.split("\t")[0] for line in done.stdout.splitlines()) == sorted(candidates)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_nothing_that_its_shell_cannot_read(shell, tmp_path):
    need(shell)
    script = subprocess.run([BIN / "pipegrad", "completion", shell], capture_output=True, text=True, check=True).stdout
    subprocess.run([shell, "-n"], input=script, text=True, check=True)
    assert all(re.search(rf"(?<![\w-]){tool}(?![\w-])", script) for tool in {*TOOLS} - {"export"})


def test_zsh_finds_the_script_on_its_fpath(folder):
    need("zsh")
    script = subprocess.run([BIN / "pipegrad", "completion", "zsh"], capture_output=True, check=True).stdout
    (folder / "functions").mkdir()
    (folder / "functions" / "_pipegrad").write_bytes(script)
    command = "fpath=($HOME/functions $fpath); autoload -Uz compinit; compinit -i; print -r -- $_comps[train] $_comps[pipegrad]"
    done = subprocess.run(["zsh", "-f", "-c", command], env=ENV | {"HOME": str(folder)}, capture_output=True, text=True)
    assert done.stdout == "_pipegrad _pipegrad\n"


@pytest.mark.parametrize("args", [[], ["tcsh"], ["--help"]])
def test_another_shell_is_refused_by_name(args):
    done = subprocess.run([BIN / "pipegrad", "completion", *args], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.endswith("there is bash, zsh, fish\n") and done.stderr.count("\n") == 1
