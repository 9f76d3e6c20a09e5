"""What `compose` tells of a composition, against a real Hydra application's `--cfg` and `--info`."""

import importlib.util
import random
import subprocess
import sys

import pytest
from peers import BIN, ROOT

APP = """\
import hydra

@hydra.main(version_base="1.3", config_path="tree", config_name="config")
def main(cfg):
    pass

main()
"""


def peer():
    """The folder that uses everything, and its overrides, from the tests of composition."""
    path = ROOT / "tools/lib/config/tests/peer_hydra.py"
    spec = importlib.util.spec_from_file_location("peer_hydra", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Runs the application and `compose` with the same arguments; returns the two outputs, None where refused."""
    folder = tmp_path_factory.mktemp("app")
    peer().write(folder / "tree", peer().TREE)
    (folder / "app.py").write_text(APP)
    (folder / "more/db").mkdir(parents=True)
    (folder / "more/db/extra.yaml").write_text("port: 7\n")

    def run(*args):
        theirs = subprocess.run([sys.executable, "app.py", *args], cwd=folder, capture_output=True, text=True)
        ours = subprocess.run(
            [BIN / "compose", "-cp", "tree", "-cn", "config", *args], cwd=folder, capture_output=True, text=True
        )
        assert ours.returncode in (0, 2), ours
        assert "Traceback" not in ours.stderr and (ours.returncode == 0) == (theirs.returncode == 0), (args, theirs, ours)
        return (theirs.stdout, ours.stdout) if ours.returncode == 0 else None

    return run


def cases(count):
    """Overrides, one a case or two, that choose among groups."""
    choices = peer().CHOICES
    draw = random.Random(0)
    return [[], ["hydra.searchpath=[file://more]", "db=extra"], *(draw.sample(choices, 1 + n % 2) for n in range(count))]


def rows(table):
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    # Below the header there is a rule of ours, and Hydra's own configs.
    return [row for row in cells if not set(row[0]) <= {"-"} and not row[0].startswith("hydra/")]


@pytest.mark.parametrize("overrides", cases(12), ids=" ".join)
def test_the_defaults_list_is_hydras(both, overrides):
    answer = both("--info", "defaults", *overrides)
    if answer:
        assert rows(answer[0]) == rows(answer[1])


@pytest.mark.parametrize("overrides", cases(12), ids=" ".join)
def test_the_defaults_tree_is_hydras(both, overrides):
    answer = both("--info", "defaults-tree", *overrides)
    if answer:
        theirs, ours = answer
        lines = theirs.splitlines()
        lines = lines[lines.index("<root>:") :]
        # Hydra's own configs come first.
        start = lines.index("  hydra/config:")
        end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith("    "))
        assert lines[:start] + lines[end:] == ours.splitlines()


def test_the_search_path_is_hydras(both):
    theirs, ours = both("--info", "searchpath", "-cd", "more", "hydra.searchpath=[file://more]")
    providers = [[row[0] for row in rows(text)] for text in (theirs, ours)]
    assert providers[0] == ["Provider", "hydra", "main", "command-line", "hydra.searchpath in command-line", "schema"]
    # Hydra's own parts frame the others; ours come last.
    assert providers[1] == ["Provider", "main", "command-line", "hydra.searchpath in command-line", "pipegrad"]


@pytest.mark.parametrize(
    "args",
    [
        ["--cfg", "job"],
        ["--cfg", "job", "--package", "db"],
        ["--cfg", "job", "-p", "server.log", "server/log=quiet"],
        ["--cfg", "job", "-p", "db.user"],
        ["--cfg", "job", "-p", "url"],
        ["--cfg", "job", "-p", "db", "--resolve"],
        ["--cfg", "job", "--resolve", "must=1", "name='${db.host}-${count}'"],
        ["-c", "job", "-cd", "more", "db=extra"],
        ["--cfg=job", "name='${nope}'", "+list=[1,'${count}',{a: '${.b}'}]"],
        ["--cfg", "job", "--resolve", "name='${nope}'"],
        ["--cfg", "job", "db=lime"],
    ],
    ids=" ".join,
)
def test_documents_are_printed_as_hydra_does(both, args):
    answer = both(*args)
    if answer:
        theirs, ours = answer
        assert theirs.rstrip("\n") == ours.rstrip("\n")
    else:
        assert args[-1] in ("db=lime", "name='${nope}'")
