"""The wire against NumPy: what the tools write NumPy reads, and the other way round."""

import io
import json

import numpy as np
import pytest

EVERY_DTYPE = ["u1", "<i4", "<i8", "<f2", "<f4", "<f8", "?"]


def npy(array, version=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def every_kind(rows=3):
    dtype = [(f"f{i}", kind, shape) for i, kind in enumerate(EVERY_DTYPE) for shape in [()]]
    dtype += [("x", "<f4", (2, 3)), ("values", "<f8", (4,)), ("é", "<f4"), ("it's", "<f4")]
    array = np.zeros(rows, dtype)
    random = np.random.default_rng(0)
    for name in array.dtype.names:
        array[name] = (random.normal(size=array[name].shape) * 10).astype(array[name].dtype)
    return array


def relu(array):
    changed = array.copy()
    changed["values"] = np.maximum(changed["values"], 0)
    return changed


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_dtype_and_version_is_read_and_written(run, version):
    array = every_kind()
    out = run("relu", stdin=npy(array, version))
    loaded = np.load(io.BytesIO(out))
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, relu(array))


def test_a_file_is_byte_for_byte_what_numpy_saves(run, tmp_path):
    array = every_kind(1000)
    np.save(tmp_path / "in.npy", array)
    run("relu", "in.npy", "-o", "out.npy")
    np.save(tmp_path / "expected.npy", relu(array))
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    # The same on a redirected standard output, which can be corrected at the end.
    assert run("relu", "in.npy") == (tmp_path / "expected.npy").read_bytes()


def test_one_array_in_is_one_array_out_on_a_pipe(run):
    big = np.zeros(300_000, [("values", "<f8")])
    out = run("relu", stdin=npy(big))
    assert np.load(io.BytesIO(out)).shape == big.shape
    assert len(out) == len(npy(big))


def test_arrays_back_to_back_become_one_file(run, tmp_path):
    parts = [np.random.default_rng(i).normal(size=(n, 3)) for i, n in enumerate([1, 40_000, 0, 7])]
    run("relu", "-o", "out.npy", stdin=b"".join(map(npy, parts)))
    out = np.load(tmp_path / "out.npy")
    assert out.dtype == [("values", "<f8", (3,))]
    np.testing.assert_array_equal(out["values"], np.maximum(np.concatenate(parts), 0))


def test_big_endian_input_comes_out_little_endian(run_npy):
    array = every_kind()
    swapped = array.astype(array.dtype.newbyteorder(">"))
    np.testing.assert_array_equal(run_npy("relu", stdin=npy(swapped)), relu(array))
    plain = np.array([[-1.5, 2.5]], ">f8")
    np.testing.assert_array_equal(run_npy("relu", stdin=npy(plain))["values"], [[0, 2.5]])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.asfortranarray(np.ones((3, 2))), "Fortran order"),
        (np.array(1.0), "single value"),
        (np.array(["a"]), "not supported"),
        (np.array([1 + 2j]), "not supported"),
        (np.zeros(1, np.dtype([("a", "u1"), ("values", "f8")], align=True)), "padding"),
        (np.zeros(1, [("values", [("b", "f8")])]), "nested"),
        (np.zeros((2, 2), [("values", "f8")]), "one dimension"),
        (np.zeros((0, 2)), "no rows"),
        (np.zeros(1, [("other", "f8")]), 'no field "values" (there is other)'),
        (np.zeros(1, "i8"), "dtype i8, expected f4 or f8"),
    ],
)
def test_what_the_wire_has_no_place_for_is_refused_by_name(run, array, message):
    error = run("relu", stdin=npy(array), fails=2)
    assert message in error and error.count("\n") == 1


def test_fortran_order_of_one_column_is_no_different(run_npy):
    column = np.asfortranarray(np.array([[-1.0], [2.0]]))
    np.testing.assert_array_equal(run_npy("relu", stdin=npy(column))["values"], [[0], [2]])


def test_ndjson_numbers_are_exact(run, run_npy):
    """Every double survives NPY to NDJSON to NPY, in Python's eyes too."""
    bits = np.random.default_rng(0).integers(0, 2**64, 20_000, np.uint64)
    values = bits.view(np.float64)
    values = np.concatenate([values[np.isfinite(values)], [0.0, 5e-324, 1.7976931348623157e308, 2.0**53, 1e22, 1e23]])
    array = np.zeros(len(values), [("x", "<f8"), ("values", "<f4")])
    array["x"] = values
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    array["values"] = np.abs(np.where(np.isfinite(narrow), narrow, 1))
    text = run("relu", "--to", "ndjson", stdin=npy(array))
    rows = [json.loads(line) for line in text.splitlines()]
    np.testing.assert_array_equal([row["x"] for row in rows], values)
    np.testing.assert_array_equal(np.float32([row["values"] for row in rows]), array["values"])
    back = run_npy("relu", "--to", "npy", stdin=text)
    np.testing.assert_array_equal(back["x"], values)
    only_values = "".join(json.dumps({"values": float(value)}) + "\n" for value in array["values"])
    narrow = run_npy("relu", "--to", "npy", "--dtype", "f4", stdin=only_values.encode())
    np.testing.assert_array_equal(narrow["values"], array["values"])


def test_ndjson_of_python_is_read(run_npy):
    rows = [{"n": i, "ok": i % 2 == 0, "values": [[i / 3, -i]] * 2} for i in range(1000)]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    out = run_npy("relu", "--to", "npy", stdin=text)
    assert out.dtype == [("n", "<i8"), ("ok", "?"), ("values", "<f8", (2, 2))]
    np.testing.assert_array_equal(out["n"], range(1000))
    np.testing.assert_array_equal(out["values"], np.maximum([row["values"] for row in rows], 0))


def test_truncated_files_are_refused(run):
    whole = npy(np.ones((1000, 3)))
    for length in [1, 5, 9, 50, 127, 129, len(whole) // 2, len(whole) - 1]:
        error = run("relu", stdin=whole[:length], fails=2)
        assert error.count("\n") == 1 and ("truncated" in error or "found '" in error), error
