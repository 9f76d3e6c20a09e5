"""`train` in a terminal: progress while it goes on and one line at the end, instead of the events that a pipe gets."""

import json
import os
import pty
import re
import signal
import subprocess

import numpy as np
import pytest
from peers import BIN

ROWS = 2000


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    rows = np.zeros(ROWS, [("probs", "<f4", (4,)), ("entropy", "<f4")])
    rows["probs"] = random.dirichlet(np.ones(4), ROWS)
    rows["entropy"] = -(rows["probs"] * np.log(rows["probs"])).sum(1)
    np.save(tmp_path / "rows.npy", rows)
    return tmp_path


def in_terminal(folder, *args, stdout="terminal", stderr="terminal", stop_at=None, **env):
    """Runs train with its streams on a terminal, or in a file; returns the exit status and what the terminal shows."""
    primary, secondary = pty.openpty()
    stream = lambda where: secondary if where == "terminal" else open(folder / where, "wb")  # noqa: E731
    command = [BIN / "train", "rows.npy", "-o", "run", *args]
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", **env}
    # Whoever runs the tests may have had the signal ignored, as nohup does.
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    run = subprocess.Popen(command, cwd=folder, stdout=stream(stdout), stderr=stream(stderr), env=env, preexec_fn=heed)
    os.close(secondary)
    shown = b""
    while True:
        try:
            data = os.read(primary, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        shown += data
        if stop_at is not None and stop_at in shown:
            run.send_signal(signal.SIGINT)
            stop_at = None
    os.close(primary)
    return run.wait(), shown.decode()


def lines(shown):
    """The lines that stay, without what moves the cursor."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n")
    return [line.strip() for line in plain.split("\n") if line.strip()]


def test_a_terminal_shows_progress_and_a_last_line_and_no_events(folder):
    status, shown = in_terminal(folder, "trainer.max_epochs=3")
    assert status == 0 and '{"event"' not in shown
    told = lines(shown)
    assert [line.split(" ")[1] for line in told if re.match(r"epoch \d/3 train_loss", line)] == ["1/3", "2/3", "3/3"]
    metrics = json.loads((folder / "run/metrics.json").read_text())
    best = f"{metrics['val']['loss']:.4f}"
    model = "run/model.safetensors has the weights of epoch 3"
    assert re.fullmatch(rf"max_epochs reached; best val_loss {best} \(epoch 3\); {model}; [\d.]+ s", told[-1]), told[-1]
    # The log has them all.
    events = [json.loads(line)["event"] for line in (folder / "run/events.ndjson").read_text().splitlines()]
    assert (events[0], events[-1], events.count("epoch")) == ("start", "end", 3)


def test_a_pipe_or_a_file_gets_the_events(folder):
    status, shown = in_terminal(folder, "trainer.max_epochs=2", stdout="events")
    assert status == 0 and "max_epochs reached" not in shown and "epoch 2/2" in shown
    assert (folder / "events").read_bytes() == (folder / "run/events.ndjson").read_bytes()


def test_the_last_line_is_there_without_progress_too(folder):
    status, shown = in_terminal(folder, "trainer.max_epochs=1", "--quiet")
    assert status == 0
    (line,) = lines(shown)
    assert line.startswith("max_epochs reached; best val_loss ")
    status, shown = in_terminal(folder, "trainer.max_epochs=1", stderr="progress")
    (line,) = lines(shown)
    assert line.startswith("max_epochs reached; ") and "epoch 1/1" in (folder / "progress").read_text()


def test_nothing_is_colored_where_that_is_not_wanted(folder):
    _, shown = in_terminal(folder, "trainer.max_epochs=2", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*m", shown)


def test_what_ends_a_run_is_told(folder):
    _, shown = in_terminal(folder, "callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=10", "--quiet")
    assert re.match(r"early stopping: val_loss .*; best val_loss .* \(epoch \d+\); run/model.safetensors has", lines(shown)[-1])
    _, shown = in_terminal(folder, "trainer.max_epochs=1", "callbacks.checkpoint.save_top_k=0", "--quiet")
    assert "; last val_loss " in lines(shown)[-1]
    _, shown = in_terminal(folder, "trainer.fast_dev_run=true", "--quiet")
    assert "model.safetensors" not in lines(shown)[-1]
    status, shown = in_terminal(folder, "optimizer.learning_rate=1e9", "--quiet")
    (line,) = lines(shown)
    assert status == 1 and line.startswith("train: the loss, a gradient or a running statistic is not finite")


def test_an_interrupted_run_says_how_it_goes_on(folder):
    status, shown = in_terminal(folder, "trainer.max_epochs=100000", stop_at=b"epoch 2/100000 train_loss")
    assert status == 130
    found = re.match(r"SIGINT at step \d+; best val_loss .*; resume with (trainer.resume=last); [\d.]+ s$", lines(shown)[-1])
    epochs = len((folder / "run/events.ndjson").read_text().split('"event":"epoch"')) - 1
    status, shown = in_terminal(folder, found[1], f"trainer.max_epochs={epochs + 2}", "--quiet")
    assert status == 0 and lines(shown)[-1].startswith("max_epochs reached")
