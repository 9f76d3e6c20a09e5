"""Images in training, restated in NumPy: what augmentation makes of them, and what is measured on them."""

import hashlib
import json
from collections import Counter

import numpy as np
import pytest

SHAPE = (2, 5, 6)


def write(path, rows, seed, kind="u1"):
    random = np.random.default_rng(seed)
    table = np.zeros(rows, [("image", kind, SHAPE), ("label", "<f4")])
    table["image"] = random.integers(1, 256, (rows, *SHAPE))
    np.save(path, table)
    return table


@pytest.fixture
def seen(run, tensors, tmp_path):
    """Trains on `table`; returns the images as the model saw them, each with its epoch.

    A linear model learns from one image a step. The step of its weights is the image, times that of the bias; a
    checkpoint is written after each. The target is far off, so that the steps are large beside the weights.
    """

    def seen(table, epochs, *settings):
        table["label"] = 1e5
        np.save(tmp_path / "rows.npy", table)
        run(
            "train", "rows.npy", "-o", "run", "model.hidden=[]", "optimizer=sgd", "optimizer.learning_rate=1e-9",
            "model.input_scaling=none", "model.target_scaling=none",
            "optimizer.momentum=0", "trainer.input_field=image", "trainer.target_field=label", "trainer.split=[1,0,0]",
            "trainer.val_input=rows.npy", "trainer.val_every_steps=1", "trainer.batch_size=1", f"trainer.max_epochs={epochs}",
            "callbacks.checkpoint.save_top_k=-1", "callbacks.checkpoint.filename='{step}'", *settings,
        )  # fmt: skip

        def parameters(step):
            state = tensors(tmp_path / f"run/checkpoints/{step}.safetensors")
            return state["layers.0.weight"][0].astype(float), state["layers.0.bias"][0].astype(float)

        steps = [parameters(step) for step in range(1, epochs * len(table) + 1)]
        images = []
        for i, (before, after) in enumerate(zip(steps, steps[1:], strict=False), 1):
            image = ((after[0] - before[0]) / (after[1] - before[1])).reshape(SHAPE)
            images.append((1 + i // len(table), image))
        return images

    return seen


def crops(image, pad, mode):
    """Every crop of a padded image, and its mirror image, by what was done."""
    padded = np.pad(image, [(0, 0), (pad, pad), (pad, pad)], mode={"zero": "constant"}.get(mode, mode))
    _, height, width = image.shape
    for y in range(2 * pad + 1):
        for x in range(2 * pad + 1):
            crop = padded[:, y : y + height, x : x + width]
            yield (y, x, False), crop
            yield (y, x, True), crop[:, :, ::-1]


@pytest.mark.parametrize("mode, kind", [("reflect", "u1"), ("zero", "u1"), ("reflect", "<f4")])
def test_every_image_is_a_crop_of_its_padded_self_or_the_mirror_image_of_one(seen, tmp_path, mode, kind):
    table = write(tmp_path / "rows.npy", 3, 0, kind)
    settings = ["augmentation.pad=1", f"augmentation.pad_mode={mode}", "augmentation.flip=random"]
    found = Counter()
    possible = [(row, done, crop) for row in range(3) for done, crop in crops(table["image"][row].astype(float), 1, mode)]
    for _, image in seen(table, 60, *settings):
        matches = [(row, done) for row, done, crop in possible if np.abs(image - crop).max() < 0.5]
        assert len(matches) == 1, image
        found[matches[0]] += 1
    # 179 draws of 3 rows × 9 places × 2: each 3.3 times on average.
    by_place = Counter(done[:2] for (_, done), n in found.items() for _ in range(n))
    mirrored = sum(n for (_, done), n in found.items() if done[2])
    assert len(by_place) == 9 and max(by_place.values()) < 40 and 60 < mirrored < 120, found
    assert len(found) > 45


def test_flips_take_turns_after_a_first_by_chance(seen, tmp_path):
    table = write(tmp_path / "rows.npy", 12, 1)
    flips = {row: {} for row in range(12)}
    for epoch, image in seen(table, 5, "augmentation.flip=alternating"):
        ((row, mirrored),) = [
            (row, mirrored)
            for row in range(12)
            for mirrored in (False, True)
            if np.abs(image - table["image"][row][:, :, :: -1 if mirrored else 1]).max() < 0.5
        ]
        flips[row][epoch] = mirrored
    first = [turns[2] for turns in flips.values()]
    assert 2 <= sum(first) <= 10, first
    for turns in flips.values():
        # The first step's image is not seen: there is no checkpoint before it.
        assert len(turns) >= 4 and all(mirrored == (turns[2] ^ (epoch % 2 == 1)) for epoch, mirrored in turns.items())


def test_a_square_is_cut_out_around_any_pixel(seen, tmp_path):
    table = write(tmp_path / "rows.npy", 1, 2)
    image = table["image"][0].astype(float)
    mean = image.mean(axis=(1, 2))
    centres = Counter()
    for _, cut in seen(table, 200, "augmentation.cutout=3"):
        found = []
        for y in range(5):
            for x in range(6):
                expected = image.copy()
                expected[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = mean[:, None, None]
                if np.abs(cut - expected).max() < 0.4:
                    found.append((y, x))
        assert len(found) == 1
        centres[found[0]] += 1
    assert len(centres) == 30 and max(centres.values()) < 20, centres


def softmax_metrics(logits, labels):
    shifted = logits - logits.max(1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    labels = labels.astype(int)
    return {"loss": -log[np.arange(len(labels)), labels].mean(), "accuracy": (logits.argmax(1) == labels).mean()}


@pytest.mark.parametrize("flip", ["false", "true"])
def test_files_for_validation_and_test_are_measured_as_numpy_does(run, tensors, tmp_path, flip):
    tables = {}
    for seed, (name, rows) in enumerate({"rows": 300, "val": 70, "test": 45}.items()):
        table = write(tmp_path / f"{name}.npy", rows, seed)
        table["label"] = table["image"][:, 0, 2, 1].astype(int) // 86
        np.save(tmp_path / f"{name}.npy", table)
        tables[name] = table
    run(
        "train", "rows.npy", "-o", "run", "model.hidden=[]", "model.input_scaling=standard", "trainer.max_epochs=4",
        "trainer.input_field=image", "trainer.target_field=label", "trainer.loss=cross_entropy", "trainer.batch_size=32",
        "trainer.val_input=val.npy", "trainer.test_input=test.npy", f"trainer.test_flip={flip}", "augmentation.pad=1",
    )  # fmt: skip
    state = tensors(tmp_path / "run/model.safetensors")
    pixels = tables["rows"]["image"].astype(float).transpose(1, 0, 2, 3).reshape(2, -1)
    np.testing.assert_allclose(state["input.mean"], pixels.mean(1), rtol=1e-6)
    np.testing.assert_allclose(state["input.scale"], 1 / pixels.std(1), rtol=1e-6)
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())

    def logits(images):
        x = (images - state["input.mean"][:, None, None]) * state["input.scale"][:, None, None]
        return x.reshape(len(x), -1) @ state["layers.0.weight"].T.astype(float) + state["layers.0.bias"]

    for name in ("val", "test"):
        images = tables[name]["image"].astype(float)
        outputs = logits(images)
        if flip == "true":
            outputs = (outputs + logits(images[..., ::-1])) / 2
        for metric, value in softmax_metrics(outputs, tables[name]["label"]).items():
            assert metrics[name][metric] == pytest.approx(value, rel=1e-4), (name, metric)
    left = np.load(tmp_path / "run/test.npy")
    assert left.dtype == tables["test"].dtype
    np.testing.assert_array_equal(left, tables["test"])
    start = json.loads((tmp_path / "run/events.ndjson").read_text().splitlines()[0])
    parts = [b"", b"val", b"test"]
    data = b"".join(
        part + table["image"].tobytes() + table["label"].tobytes() for part, table in zip(parts, tables.values(), strict=True)
    )
    assert start["data_sha256"] == hashlib.sha256(data).hexdigest()
