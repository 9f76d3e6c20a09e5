"""The training loop against NumPy, and its log against the JSON Schema."""

import hashlib
import json

import jsonschema
import numpy as np
import pytest
from peers import ROOT


@pytest.fixture
def rows(tmp_path):
    random = np.random.default_rng(0)
    table = np.zeros(64, [("probs", "<f4", (3,)), ("entropy", "<f4")])
    table["probs"] = random.normal(size=(64, 3))
    table["entropy"] = table["probs"] @ [1.0, -2.0, 0.5] + 0.1
    np.save(tmp_path / "rows.npy", table)
    return table


def test_epochs_of_one_batch_are_gradient_descent(run, tensors, tmp_path, rows):
    """Full batches of linear regression: momentum, clipping, weight decay on the weight alone, a schedule, an
    average, and four times the learning rate for the bias."""
    settings = """model.hidden=[] optimizer=sgd optimizer.learning_rate=0.1 optimizer.momentum=0.9 optimizer.weight_decay=0.05
        optimizer.learning_rate_factors.bias=4
        scheduler=step scheduler.step_size=2 scheduler.gamma=0.5 scheduler.warmup=1 trainer.split=[1,0,0] trainer.batch_size=64
        trainer.max_epochs=6 trainer.clip_norm=1 trainer.ema_decay=0.8 callbacks.checkpoint.save_top_k=-1
        callbacks.checkpoint.filename='{epoch}'""".split()
    run("train", "rows.npy", "-o", "run", *settings)
    states = [tensors(tmp_path / "run/checkpoints" / f"{epoch}.safetensors") for epoch in range(1, 7)]
    x, y = rows["probs"].astype(float), rows["entropy"].astype(float)

    def flat(state):
        return np.concatenate([state["layers.0.bias"], state["layers.0.weight"].ravel()]).astype(float)

    # One epoch of warm-up, then the schedule from its beginning.
    rates = [0.01, 0.1, 0.1, 0.05, 0.05, 0.025]
    for epoch in range(1, 6):
        before, after = states[epoch - 1], states[epoch]
        bias, weight = before["layers.0.bias"].astype(float), before["layers.0.weight"][0].astype(float)
        error = x @ weight + bias - y
        gradient = np.concatenate([[2 * error.mean()], 2 * (error[:, None] * x).mean(0)])
        norm = np.sqrt((gradient**2).sum())
        gradient *= min(1, 1 / (norm + 1e-6))
        gradient[1:] += 0.05 * weight
        # The file has the weight first.
        velocity = before["state.velocity"].astype(float)[[3, 0, 1, 2]] * 0.9 + gradient
        parameters = flat(before) - rates[epoch] * np.array([4, 1, 1, 1]) * velocity
        np.testing.assert_allclose(flat(after), parameters, rtol=2e-5, atol=1e-6)
        average = 0.8 * before["state.average"][[3, 0, 1, 2]] + 0.2 * parameters
        np.testing.assert_allclose(after["state.average"][[3, 0, 1, 2]], average, rtol=2e-5, atol=1e-6)
    # The model is the average, and the losses of the history are those of the parameters before each step.
    model = tensors(tmp_path / "run/model.safetensors")
    np.testing.assert_array_equal(model["layers.0.weight"].ravel(), states[5]["state.average"][:3])
    history = np.genfromtxt(tmp_path / "run/history.csv", delimiter=",", names=True)
    np.testing.assert_allclose(history["learning_rate"], rates)
    for epoch in range(1, 6):
        state = states[epoch - 1]
        error = x @ state["layers.0.weight"][0].astype(float) + state["layers.0.bias"] - y
        np.testing.assert_allclose(history["train_loss"][epoch], (error**2).mean(), rtol=1e-5)


def test_accumulated_batches_are_one_large_batch(run, tensors, tmp_path, rows):
    common = "trainer.split=[1,0,0] trainer.max_epochs=3 optimizer=sgd callbacks.checkpoint.model=last".split()
    run("train", "rows.npy", "-o", "large", *common, "trainer.batch_size=64")
    run("train", "rows.npy", "-o", "small", *common, "trainer.batch_size=16", "trainer.accumulate_batches=4")
    large, small = (tensors(tmp_path / name / "model.safetensors") for name in ("large", "small"))
    for name, values in large.items():
        np.testing.assert_allclose(small[name], values, rtol=1e-4, atol=1e-5)


def test_every_line_of_the_log_is_what_the_schema_says(run, tmp_path, rows):
    schema = json.loads((ROOT / "docs/events.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    settings = "trainer.batch_size=8 trainer.log_every_steps=2 trainer.val_every_steps=3 trainer.max_epochs=2".split()
    out = run("train", "rows.npy", "-o", "run", *settings)
    lines = [json.loads(line) for line in out.splitlines()]
    run("train", "rows.npy", "-o", "run", "trainer.resume=last", *settings[:-1], "trainer.max_epochs=3")
    log = [json.loads(line) for line in (tmp_path / "run/events.ndjson").read_text().splitlines()]
    assert log[: len(lines)] == lines and len(log) > len(lines)
    for line in log:
        validator.validate(line)
    kinds = {line["event"] for line in log}
    assert kinds == {"start", "step", "validation", "epoch", "checkpoint", "test", "end"}
    assert not validator.is_valid({**log[0], "seed": "0"}) and not validator.is_valid({"event": "end"})
    start = log[0]
    digest = hashlib.sha256(rows["probs"].tobytes() + rows["entropy"].tobytes()).hexdigest()
    assert start["data_sha256"] == digest and start["name"] == "run" and start["resumed"] is None
    resumed = [line for line in log if line["event"] == "start"][1]["resumed"]
    assert resumed == {"path": "run/checkpoints/last.safetensors", "step": 14}
