"""All pages of the repository: commands that are shown and not run, what tables call ours, and the book's table of contents.

`sh` blocks are run: of docs/ by peer_docs.py, of README.md by scripts/readme.sh, of pipelines/scale by peer_readme.py there.
"""

import os
import re
import shlex
import subprocess

import book
import pytest
import yaml
from peers import BIN, ROOT, with_tools
from peer_docs import DOCS, OPTIONAL, TOOLS

ENV = os.environ | {"PATH": with_tools()}
PAGES = sorted(
    page.relative_to(ROOT)
    for folder in ["*.md", "docs/**/*.md", "pipelines/**/*.md"]
    for page in ROOT.glob(folder)
)
SH = ["README.md", "docs/", "pipelines/scale/README.md", "pipelines/scale/mpi/README.md"]
BLOCK = re.compile(r"^( *)```(\S*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)

# `console` blocks that a test runs all the same, each known by a word of it.
RUN = {
    ("README.md", "mlflow server"): "tools/track/tests/peer_track.py",
    ("docs/track.md", "mlflow server"): "tools/track/tests/peer_track.py",
    ("pipelines/scale/slurm/README.md", "merge="): "pipelines/scale/slurm/peer_slurm.py",
}
# Why a command is not run, by its beginning. A target of make must be there, and what a tool is called with must be right.
NOT_RUN = {
    "make": "a target of the Makefile; CI runs lint, test and repro, and the others take minutes to hours",
    # Installing, and what is for a shell that stays.
    "apt-get install slurm-wlm": ".ci/run installs what is missing",
    "cargo install": "compiles for minutes",
    "cargo build --release -p trt-build": "make test-tensorrt builds it",
    ".venv/bin/pip install tensorrt": "make test-tensorrt installs it, by its hash",
    "pip install 'dist/pipegrad": "make test-wheel installs the wheel",
    "pip install 'snakemake": "make test-scale installs it, by its hash",
    "pip install 'pyspark": "make test-scale installs it, by its hash",
    ". ./env.sh": "scripts/readme.sh begins with it",
    "export PATH=": "is for the shell of a cluster",
    "cd pipelines": "is for the commands behind it",
    "mkdir": "is for the commands behind it",
    "cat ": "is for the commands around it",
    "cargo +nightly fuzz": "does not end by itself; the tests run the same targets on the stable compiler",
    "time train": "a measurement, of minutes",
    "gen-data --to npy | entropy > rows.npy": "a measurement follows",
    "pipegrad init ~/houses": "writes into the home; peer_init.py runs it in a folder of its own",
    "pipegrad doctor dvc git": "fails where one of them is missing; docs/pipegrad.md runs it without names",
    # Downloads, and training on them.
    "dvc": "on CIFAR-10: 170 MB to download, and training for minutes",
    "(cd pipelines/cifar10": "downloads 170 MB",
    "PIPEGRAD_CIFAR10_IMAGES=": "takes an archive that no test has, and trains for minutes",
    "fetch-data": "downloads, or takes photos that no test has",
    "jq": "reads what fetch-data downloads",
    "train": "trains on what fetch-data downloads",
    "infer": "reads what fetch-data downloads",
    # On a GPU.
    "entropy device=cuda:0": "needs a GPU; the error without one is tested",
    "train trainer.device=cuda:0": "needs a GPU; the error without one is tested",
    "pip install 'nvidia": "1.7 GB; make cuda installs the same",
    # Servers.
    "serve": "runs until a signal; an `sh` block of the page starts one in the background",
    "curl": "asks a server that is shown to run; tools/serve/tests ask the same",
    "gen-data rows=1000": "asks a server that is shown to run; tools/serve/tests ask the same",
    "schemathesis": "asks a server that is shown to run; peer_openapi.py does",
    "track": "needs a server of MLflow; peer_track.py registers models with one",
    "pipegrad export": "is for the command behind it, which needs a server of MLflow",
    # Engines.
    "docker": "needs a container engine; docker/tests follow the Dockerfile without one",
    "kubectl": "needs a cluster; peer_kubernetes.py validates the manifests and runs their scripts",
    "sbatch": "Slurm is not on every machine; peer_slurm.py submits the scripts of pipelines/scale/slurm",
    "squeue": "Slurm is not on every machine; peer_slurm.py asks scontrol",
    "pipelines/scale/slurm/submit.sh": "Slurm is not on every machine; peer_slurm.py submits it with fewer rows",
    "sweep --skip-done": "hands its lines to GNU parallel or Slurm, which are not on every machine",
    "snakemake": "peer_snakemake.py runs it, with fewer rows",
    "srun": "Slurm is not on every machine; peer_slurm.py runs ranks by it",
    "mpirun": "Open MPI is not on every machine; make test-mpi and peer_mpi.py run ranks by it",
    "torchrun": "comes with PyTorch; the variables that it sets are set by tools/train/tests/distributed.rs",
    "RANK=": "starts a rank on each of several machines",
    "spark-submit": "peer_spark.py runs it, with fewer rows",
    "gen-data rows=100000 -o rows.ndjson": "is for spark-submit",
}


def blocks(page, language):
    return [text for _, word, text in BLOCK.findall((ROOT / page).read_text()) if word == language]


def commands(page):
    """The commands of a page that are shown, and run nowhere: without their prompt, comment and output."""
    for text in blocks(page, "console"):
        if not any(page == name and word in text for (name, word) in RUN):
            yield from (line[2:].partition("    #")[0].strip() for line in text.splitlines() if line.startswith("$ "))


SHOWN = [(str(page), command) for page in PAGES for command in commands(str(page))]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_block_of_commands_is_run_or_says_why_not(page):
    """A block without a language would escape both."""
    languages = {word for _, word, _ in BLOCK.findall((ROOT / page).read_text())}
    assert languages <= {"sh", "console", "text", "python", "json", "yaml"}
    assert "sh" not in languages or str(page).startswith(tuple(SH)), "no test runs the `sh` blocks of this page"
    assert [command for name, command in SHOWN if name == str(page) and not command.startswith(tuple(NOT_RUN))] == []


def test_the_reasons_are_needed_and_the_tests_are_there():
    assert [start for start in NOT_RUN if not any(command.startswith(start) for _, command in SHOWN)] == []
    assert [where for where in RUN if not any(where[1] in text for text in blocks(where[0], "console"))] == []
    assert [test for test in RUN.values() if not (ROOT / test).exists()] == []


def calls(command):
    """The calls of our tools in a command, as lists of words; those with a substitution or in quotes of another shell are left out."""
    words = shlex.shlex(command, posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, ""
    call, found = [], []
    for word in [*words, ";"]:
        if word and set(word) <= set("|&;<>()"):
            found.append(call)
            call = []
        else:
            call.append(word)
    found = [call[1:] if call[:1] == ["pipegrad"] else call for call in found]
    known = [tool for tool in [*TOOLS, *OPTIONAL] if (BIN / tool).exists()]
    return [call for call in found if call and call[0] in known and "$" not in " ".join(call)]


@pytest.mark.parametrize("page, command", SHOWN, ids=lambda word: word[:60])
def test_a_command_that_is_shown_would_run(page, command):
    if command.startswith("make "):
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        wanted = [word for word in shlex.split(command)[1:] if "=" not in word]
        assert set(wanted) <= set(targets)
    for call in calls(command):
        accepted(call)


def accepted(call):
    """Flags, groups, keys and values are what the tool knows: it prints its settings, and reads no input."""
    call = [word for word in call if word not in ("--cfg", "--help")]
    if call[0] in ("compose", "sweep"):
        return
    done = subprocess.run(["pipegrad", *call, "--cfg"], cwd=ROOT, env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, f"{call}\n{done.stderr}"


def groups():
    """Every key of every group's options, dotted."""
    keys = {}
    for option in sorted((ROOT / "configs").glob("*/*.yaml")):
        keys.setdefault(option.parent.name, set()).update(dotted(yaml.safe_load(option.read_text()), option.parent.name))
    return keys


def dotted(node, key):
    yield key
    for name, value in node.items() if isinstance(node, dict) else []:
        yield from dotted(value, f"{key}.{name}")


GROUPS = {"trt" if name == "trt" else "tracking" if name == "tracking" else name: keys for name, keys in groups().items()}
PROGRAM = {path.parent.name for path in (ROOT / "tools").glob("*/Cargo.toml")}
COMING_FROM = sorted((DOCS / "from").glob("*.md"))


def ours(page):
    """What the middle columns of a page's tables have in backquotes: | there | here | note |."""
    rows = [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
    assert rows and all(len(row) == 3 for row in rows), page
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row[1])]


@pytest.mark.parametrize("page", COMING_FROM, ids=lambda page: page.stem)
def test_what_a_table_maps_to_is_there(page):
    for word in ours(page):
        if word.split()[0] in PROGRAM:
            tool_knows(word.removeprefix("pipegrad ").split())
        elif re.fullmatch(r"[a-z_]+=[a-z0-9_]+", word):
            group, option = word.split("=")
            assert (ROOT / "configs" / group / f"{option}.yaml").exists(), word
        elif re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)+(=\S+)?", word) and not (ROOT / word).suffix[1:] in ("json", "csv", "yaml"):
            key = word.partition("=")[0]
            assert key in GROUPS.get(key.partition(".")[0], ()), word
            if "=" in word and "…" not in word:
                accepted([{"export": "export", "data": "train", "tracking": "track"}.get(key.partition(".")[0], "train"), word])


def tool_knows(words):
    tool, *arguments = words
    if tool in ("init", "doctor", "completion", "pipegrad") or not (BIN / tool).exists():
        return
    text = subprocess.run([BIN / tool, "--help"], capture_output=True, text=True, check=True).stdout
    for flag in [word for word in arguments if word.startswith("-")]:
        assert re.search(rf"(^|\s|,){flag}\b", text), f"{tool} has no {flag}"
    accepted([tool, *[word for word in arguments if re.fullmatch(r"[+~]*[a-z_.]+(=[^…]+)", word)]])


def test_every_page_of_docs_is_in_the_book():
    pages = set(book.links(book.SUMMARY)) | {book.SUMMARY}
    assert [str(page) for page in PAGES if page not in pages] == []
