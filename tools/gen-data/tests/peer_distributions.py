"""The data of gen-data against SciPy's distributions, at fixed seeds."""

import os
import resource
import shutil
import subprocess

import numpy as np
import pytest
from peers import BIN
from scipy import stats

ROWS = 20_000
# At fixed seeds the tests always give the same answer; this is the chance that a right
# implementation met one of the seeds that fail.
CHANCE = 1e-4


def ks(values, distribution):
    assert stats.kstest(values, distribution.cdf).pvalue > CHANCE


def generate(run_npy, *settings):
    return run_npy("gen-data", "--to", "npy", f"rows={ROWS}", "dtype=f8", *settings)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 2.5, 50.0])
@pytest.mark.parametrize("classes", [2, 8])
def test_dirichlet(run_npy, alpha, classes):
    probs = generate(run_npy, f"alpha={alpha}", f"classes={classes}", "seed=1")["probs"]
    assert probs.shape == (ROWS, classes) and (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-14)
    expected = stats.dirichlet([alpha] * classes)
    np.testing.assert_allclose(probs.mean(axis=0), expected.mean(), atol=5 * np.sqrt(expected.var()[0] / ROWS))
    np.testing.assert_allclose(probs.var(axis=0), expected.var(), rtol=0.1)
    for i in range(classes):
        ks(probs[:, i], stats.beta(alpha, alpha * (classes - 1)))


def test_dirichlet_of_tiny_alpha_is_one_hot(run_npy):
    probs = generate(run_npy, "alpha=1e-6", "classes=4")["probs"]
    assert np.isfinite(probs).all() and (probs.max(axis=1) > 0.999).mean() > 0.999
    np.testing.assert_allclose((probs.argmax(axis=1)[:, None] == np.arange(4)).mean(axis=0), 0.25, atol=0.02)


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_softmax_of_normals(run_npy, scale):
    probs = generate(run_npy, "data=softmax", f"scale={scale}", "classes=3")["probs"]
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-14)
    # The difference of two logits is normal with twice the variance.
    ks(np.log(probs[:, 0] / probs[:, 1]), stats.norm(0, scale * np.sqrt(2)))
    ks(np.log(probs[:, 2] / probs[:, 1]), stats.norm(0, scale * np.sqrt(2)))


def test_edge_cases(run_npy):
    probs = generate(run_npy, "data=edge", "one_hot=0.25", "epsilon=1e-6", "classes=5")["probs"]
    hot = probs.max(axis=1) == 1
    assert stats.binomtest(int(hot.sum()), ROWS, 0.25).pvalue > CHANCE
    assert (np.sort(probs[hot], axis=1)[:, :-1] == 0).all()
    near = probs[~hot]
    np.testing.assert_allclose(near.max(axis=1), 1 - 1e-6, rtol=1e-15)
    np.testing.assert_allclose(near.sum(axis=1), 1, atol=1e-15)
    peaks = np.bincount(probs.argmax(axis=1), minlength=5)
    assert stats.chisquare(peaks).pvalue > CHANCE
    # Off the peak the mass is spread as a flat Dirichlet distribution.
    others = np.take_along_axis(near, np.argsort(near == near.max(axis=1, keepdims=True), axis=1, kind="stable"), axis=1)
    ks(others[:, 0] / 1e-6, stats.beta(1, 3))


def test_line(run_npy):
    rows = generate(run_npy, "data=line", "slope=-3", "intercept=2", "noise=0.5", "low=1", "high=4")
    ks(rows["feature"], stats.uniform(1, 3))
    ks(rows["label"] - (-3 * rows["feature"] + 2), stats.norm(0, 0.5))


def test_f4_is_f8_rounded(run_npy):
    wide = run_npy("gen-data", "--to", "npy", "rows=5000", "dtype=f8", "seed=3")["probs"]
    narrow = run_npy("gen-data", "--to", "npy", "rows=5000", "dtype=f4", "seed=3")["probs"]
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(narrow, wide.astype(np.float32))


def test_streams_are_independent(run_npy):
    """Rows of neighbouring chunks and of neighbouring seeds do not correlate."""
    one = run_npy("gen-data", "--to", "npy", "rows=16384", "dtype=f8", "seed=0")["probs"]
    other = run_npy("gen-data", "--to", "npy", "rows=16384", "dtype=f8", "seed=1")["probs"]
    pairs = [(one[:8192, 0], one[8192:, 0]), (one[:, 0], other[:, 0]), (one[:-1, 0], one[1:, 0])]
    for a, b in pairs:
        assert stats.pearsonr(a, b).pvalue > CHANCE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes a user who may start no threads")
def test_where_the_system_gives_no_threads_the_rows_are_the_same(run, tmp_path):
    expected = run("gen-data", "rows=3")
    program = shutil.copy(BIN / "gen-data", "/tmp/gen-data-of-nobody")

    def nobody():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        os.setgroups([])
        os.setuid(65534)

    try:
        done = subprocess.run([program, "rows=3", "--threads", "8"], cwd="/tmp", capture_output=True, preexec_fn=nobody)
    finally:
        os.remove(program)
    assert (done.returncode, done.stdout) == (0, expected)
    assert done.stderr == b"gen-data: the system gives no more threads; 1 of 8 are used\n"
