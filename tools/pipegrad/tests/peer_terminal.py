"""A tool that reads from a terminal says so, and only then."""

import os
import pty
import select
import subprocess
import time

import pytest
from peers import BIN

# The command, and what it reads.
TOOLS = {
    "entropy": (["entropy"], "records"),
    "relu": (["relu"], "records"),
    "train": (["train", "trainer.max_epochs=1"], "records"),
    "score": (["score"], "records"),
    "track": (["track", "--no-mlflow"], "run events"),
    "plot": (["plot"], "run events or records"),
    "profile": (["profile"], "an ONNX model"),
    "sweep": (["sweep", "-", "trainer.seed=0,1"], "jobs"),
}


def read(stream, until, seconds=20):
    text, end = b"", time.monotonic() + seconds
    while until not in text and time.monotonic() < end:
        if select.select([stream], [], [], 0.1)[0]:
            more = os.read(stream.fileno(), 4096)
            if not more:
                break
            text += more
    return text.decode()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_terminal_is_told_that_it_is_read(tool, tmp_path):
    command, what = TOOLS[tool]
    person, terminal = pty.openpty()
    process = subprocess.Popen(
        [BIN / command[0], *command[1:]], stdin=terminal, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=tmp_path
    )
    os.close(terminal)
    said = read(process.stderr, b"\n")
    assert said == f"{tool}: reading {what} from the terminal; end with Ctrl-D, or give a file\n"
    os.write(person, b"\x04")  # Ctrl-D, at the start of a line
    assert process.wait(20) in (0, 2)
    os.close(person)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_pipe_and_a_file_are_read_in_silence(tool, tmp_path):
    command, _ = TOOLS[tool]
    done = subprocess.run([BIN / command[0], *command[1:]], input="", capture_output=True, text=True, cwd=tmp_path)
    assert "terminal" not in done.stderr
    if tool == "sweep":
        return
    (tmp_path / "empty").write_text("")
    person, terminal = pty.openpty()
    done = subprocess.run([BIN / command[0], "empty", *command[1:]], stdin=terminal, capture_output=True, text=True, cwd=tmp_path)
    assert "terminal" not in done.stderr
    os.close(person)
    os.close(terminal)


@pytest.mark.parametrize("flag", ["--help", "-h", "--cfg", "--version"])
def test_what_reads_nothing_says_nothing(flag, tmp_path):
    person, terminal = pty.openpty()
    done = subprocess.run([BIN / "train", flag], stdin=terminal, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    os.close(person)
    os.close(terminal)
