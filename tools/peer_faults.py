"""A sample of each column of the fault matrix, scripts/faults/matrix.py; `make faults` runs all of it."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "scripts" / "faults" / "matrix.py"
spec = importlib.util.spec_from_file_location("matrix", SOURCE)
matrix = importlib.util.module_from_spec(spec)
sys.modules["matrix"] = matrix
spec.loader.exec_module(matrix)


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory):
    return matrix.Fixtures(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def injects():
    """strace can inject faults here. In CI it must: it is installed there."""
    command = ["strace", "-f", "-o", "/dev/null", "-e", "inject=clone3:error=EAGAIN", "true"]
    works = shutil.which("strace") and subprocess.run(command, capture_output=True).returncode == 0
    if not works and not os.environ.get("CI"):
        pytest.skip("strace cannot inject faults here")
    assert works, "strace cannot inject faults here"


@pytest.mark.parametrize("fault", matrix.FAULTS)
@pytest.mark.parametrize("job", matrix.JOBS, ids=lambda job: job.tool)
def test_promises_are_kept(job, fault, fixtures, injects):
    matrix.FAULTS[fault](job, fixtures, False)


def test_a_promise_that_is_not_kept_is_noticed(tmp_path, fixtures):
    """The checks can fail: a tool that writes in place, leaves a file over, or panics."""
    job = matrix.Job("gen-data", ["rows=20000", "-o", "out.npy"], ["out.npy"])
    (tmp_path / "out.npy").write_bytes(fixtures.of(job)[0]["out.npy"][:-1])
    with pytest.raises(matrix.Failed, match="neither whole nor absent"):
        matrix.is_whole(job, tmp_path, fixtures)
    (tmp_path / ".out.npyabcdeZ.tmp").touch()
    assert matrix.leftovers(tmp_path) == [".out.npyabcdeZ.tmp"]
    done = subprocess.CompletedProcess([], 101, stderr=b"thread 'main' panicked\n")
    with pytest.raises(matrix.Failed, match="exit status 101"):
        matrix.is_one_line(job, done)
