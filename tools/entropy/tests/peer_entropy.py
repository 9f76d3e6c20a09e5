"""The entropy of entropy against SciPy, on rows that are hard to get right."""

import json

import numpy as np
import pytest
from peers import npy
from scipy import special, stats


def hard_rows(width, dtype, count=400):
    """One-hot rows, rows that nearly are, uniform ones, zeros, subnormals, and mixed magnitudes."""
    random = np.random.default_rng(width)
    rows = random.dirichlet(np.ones(width), count)
    rows[:50] = np.eye(width)[random.integers(width, size=50)]
    rows[50:100] = 1.0 / width
    rows[100:150] = random.dirichlet(np.full(width, 0.01), 50)
    tiny = 10.0 ** random.uniform(-320, -1, size=(100, width))
    tiny[:, 0] = 0
    tiny *= 0.5 / np.maximum(tiny.sum(axis=1, keepdims=True), 0.5)
    tiny[:, 0] = 1 - tiny.sum(axis=1)
    rows[150:250] = tiny
    return rows.astype(dtype)


@pytest.mark.parametrize("width", [2, 3, 7, 8, 9, 16, 64, 1000])
@pytest.mark.parametrize("base", [None, 2, 10])
def test_f8_is_within_4_ulp_of_scipy(run_npy, width, base):
    rows = hard_rows(width, np.float64)
    args = [] if base is None else ["--base", base]
    ours = run_npy("entropy", *args, stdin=npy(rows))
    np.testing.assert_array_equal(ours["probs"], rows)
    # What stats.entropy does once it has divided by the sum. That division is left out: next to a
    # one-hot row, the last bit of the sum decides the first digits of the entropy.
    theirs = special.entr(rows).sum(axis=1) / (1 if base is None else np.log(base))
    np.testing.assert_array_almost_equal_nulp(ours["entropy"], theirs, nulp=4)


@pytest.mark.parametrize("width", [2, 8, 100])
def test_normalize_divides_as_scipy_does(run_npy, width):
    rows = np.random.default_rng(0).exponential(size=(1000, width)) * 7
    ours = run_npy("entropy", "--normalize", "--base", 2, stdin=npy(rows))["entropy"]
    np.testing.assert_allclose(ours, stats.entropy(rows, axis=1, base=2), rtol=1e-14)


@pytest.mark.parametrize("width", [2, 3, 7, 8, 9, 16, 64, 1000])
def test_f4_is_within_2e_6_of_scipy_in_f8(run_npy, width):
    rows = hard_rows(width, np.float32)
    ours = run_npy("entropy", stdin=npy(rows))["entropy"]
    assert ours.dtype == np.float32
    terms = -np.where(rows > 0, rows.astype(np.float64) * np.log(np.where(rows > 0, rows, 1).astype(np.float64)), 0)
    np.testing.assert_allclose(ours, terms.sum(axis=1), rtol=2e-6, atol=1e-37)


def test_uniform_rows_have_round_entropies(run_npy):
    for width, base, expected in [(8, 2, 3.0), (1024, 2, 10.0)]:
        rows = np.full((3, width), 1 / width)
        np.testing.assert_array_equal(run_npy("entropy", "--base", base, stdin=npy(rows))["entropy"], expected)


def test_both_encodings_mean_the_same(run, run_npy):
    rows = hard_rows(5, np.float64)
    lines = "".join(json.dumps({"id": f"r{i}", "probs": row.tolist()}) + "\n" for i, row in enumerate(rows))
    parsed = [json.loads(line) for line in run("entropy", stdin=lines.encode()).splitlines()]
    assert [row["id"] for row in parsed] == [f"r{i}" for i in range(len(rows))]
    from_npy = run_npy("entropy", stdin=npy(rows))["entropy"]
    np.testing.assert_array_equal([row["entropy"] for row in parsed], from_npy)
