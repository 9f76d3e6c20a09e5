"""One model by several ranks under a real `mpirun`, and the commands of the page."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from peers import shell, with_tools

HERE = Path(__file__).parent

if not os.environ.get("CI"):
    pytestmark = pytest.mark.skipif(not shutil.which("mpirun"), reason="needs Debian's package openmpi-bin")

# Containers run as root, which mpirun refuses by default.
ROOT_ALLOWED = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
SETTINGS = "rows.npy --quiet trainer.batch_size=32 trainer.accumulate_batches=4 trainer.max_epochs=2"


@pytest.fixture
def env():
    return os.environ | ROOT_ALLOWED | {"PATH": with_tools()}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_the_commands_of_the_page_run(tmp_path, env):
    blocks = re.findall(r"^```sh\n(.*?)^```", (HERE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    shell(blocks[0], tmp_path, env)
    settings = "--quiet trainer.batch_size=64 trainer.accumulate_batches=2 trainer.max_epochs=3"
    shell(f"train rows.npy {settings} -o alone > alone.ndjson", tmp_path, env)
    shell("cmp alone/model.safetensors run/model.safetensors", tmp_path, env)


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_of_mpirun_have_the_bytes_of_one_process(ranks, tmp_path, env):
    shell("gen-data rows=5000 --to npy | entropy > rows.npy", tmp_path, env)
    shell(f"train {SETTINGS} -o alone > alone.ndjson", tmp_path, env)
    mpirun = f"mpirun --oversubscribe -n {ranks} -x MASTER_ADDR=localhost -x MASTER_PORT={free_port()}"
    # mpirun gives each rank a terminal, on which rank 0 prints its closing line.
    assert shell(f"{mpirun} train {SETTINGS} -o run", tmp_path, env).count("\n") == 1
    assert (tmp_path / "run/events.ndjson").read_text().count('"event":"start"') == 1
    for file in ["model.safetensors", "history.csv", "metrics.json", "checkpoints/last.safetensors"]:
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "alone" / file).read_bytes(), file


def test_without_mpi_mpirun_does_not_start_copies_of_a_job(tmp_path, env):
    shell("gen-data rows=1000 --to npy | entropy > rows.npy", tmp_path, env)
    command = ["mpirun", "--oversubscribe", "-n", "2", "train", *SETTINGS.split(), "-o", "run"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode != 0
    assert "this build is without MPI" in done.stderr
    assert not (tmp_path / "run").exists()
