"""The wire against NumPy: what the tools write NumPy reads, and the other way round."""

import io
import json

import numpy as np
import pytest
from peers import npy

EVERY_DTYPE = ["i1", "<i2", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8", "?"]


def every_kind(rows=3):
    dtype = [(f"f{i}", kind, shape) for i, kind in enumerate(EVERY_DTYPE) for shape in [()]]
    dtype += [("x", "<f4", (2, 3)), ("values", "<f8", (4,)), ("é", "<f4"), ("it's", "<f4")]
    array = np.zeros(rows, dtype)
    random = np.random.default_rng(0)
    for name in array.dtype.names:
        values = random.normal(size=array[name].shape) * 10
        unsigned = array[name].dtype.kind == "u"
        array[name] = (np.abs(values) if unsigned else values).astype(array[name].dtype)
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
        (np.array(1.0), "single value"),
        (np.array(["a"]), "not supported"),
        (np.array([1 + 2j]), "not supported"),
        (np.zeros(1, np.dtype([("a", "u1"), ("values", "f8")], align=True)), "padding"),
        (np.zeros(1, [("values", [("b", "f8")])]), "nested"),
        (np.zeros((2, 2), [("values", "f8")]), "one dimension"),
        (np.zeros((0, 2)), "no rows"),
        (np.zeros(1, [("other", "f8")]), 'no field "values" (there is other)'),
        (np.array([2**53 + 1]), "row 0: field \"values\" has 9007199254740993, which no f8 holds exactly"),
        (np.array([[1, 2**64 - 1]], "u8"), "has 18446744073709551615, which no f8 holds exactly"),
    ],
)
def test_what_the_wire_has_no_place_for_is_refused_by_name(run, array, message):
    error = run("relu", stdin=npy(array), fails=2)
    assert message in error and error.count("\n") == 1


def test_fortran_order_of_one_column_is_no_different(run_npy):
    column = np.asfortranarray(np.array([[-1.0], [2.0]]))
    np.testing.assert_array_equal(run_npy("relu", stdin=npy(column))["values"], [[0], [2]])


@pytest.mark.parametrize("shape", [(1000, 3), (7, 2, 3, 4), (300_000, 2), (2, 70_000)])
@pytest.mark.parametrize("dtype", [">f8", "<f4", "u1"])
def test_fortran_order_is_read_from_a_file_and_from_a_pipe(run, run_npy, tmp_path, shape, dtype):
    array = np.asfortranarray((np.random.default_rng(0).normal(size=shape) * 100).astype(dtype))
    expected = np.maximum(array, 0)
    np.save(tmp_path / "in.npy", array)
    np.testing.assert_array_equal(run_npy("relu", "in.npy")["values"], expected)
    np.testing.assert_array_equal(run_npy("relu", stdin=npy(array))["values"], expected)
    # Arrays of both orders follow each other.
    both = npy(array) + npy(np.ascontiguousarray(array))
    (tmp_path / "both.npy").write_bytes(both)
    twice = np.concatenate([expected, expected])
    np.testing.assert_array_equal(run_npy("relu", "both.npy")["values"], twice)
    np.testing.assert_array_equal(run_npy("relu", stdin=both)["values"], twice)


def test_fortran_order_is_bounded_on_a_pipe_and_may_not_be_cut(run, tmp_path):
    array = np.asfortranarray(np.ones((1000, 3)))
    error = run("relu", "fortran_bytes=20000", stdin=npy(array), fails=2)
    assert "Fortran order" in error and "fortran_bytes" in error
    np.save(tmp_path / "in.npy", array)
    run("relu", "fortran_bytes=20000", "in.npy")
    whole = npy(array)
    (tmp_path / "cut.npy").write_bytes(whole[:-9])
    assert "truncated" in run("relu", "cut.npy", fails=2)
    assert "truncated" in run("relu", stdin=whole[:-9], fails=2)


def test_integers_are_computed_with_as_in_ndjson(run, run_npy):
    for dtype in ["i1", ">i2", "<i4", "<i8"]:
        array = np.array([[-2, 3], [4, -5]], dtype)
        out = run_npy("relu", stdin=npy(array))
        text = run_npy("relu", "--to", "npy", stdin=b'{"values":[-2,3]}\n{"values":[4,-5]}\n')
        assert out.dtype == text.dtype == [("values", "<f8", (2,))]
        np.testing.assert_array_equal(out, text)


def test_csv_of_pandas_is_read_and_written(run, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "name": ["a,b", 'say "x"', "two\nlines", "NA", "ü"],
            "values": [-1.5, 2.0, 1 / 3, -0.0, 1e300],
            "count": [1, -2, 3, 4, 5],
            "ok": [True, False, True, True, False],
            "gap": [1.5, None, 3.0, None, 5.0],
        }
    )
    frame.to_csv(tmp_path / "in.csv", index=False)
    expected = frame.assign(values=np.maximum(frame["values"], 0))
    run("relu", "in.csv", "-o", "out.csv")
    read = lambda path: pandas.read_csv(path, keep_default_na=False, na_values={"gap": [""]})
    pandas.testing.assert_frame_equal(read(tmp_path / "out.csv"), expected)
    run("relu", "in.csv", "-o", "out.ndjson")
    lines = pandas.read_json(tmp_path / "out.ndjson", lines=True, precise_float=True)
    pandas.testing.assert_frame_equal(lines, expected)
    run("relu", "out.ndjson", "-o", "again.csv")
    pandas.testing.assert_frame_equal(read(tmp_path / "again.csv"), expected)
    frame.to_csv(tmp_path / "in.tsv", index=False, sep="\t")
    run("relu", "in.tsv", "-o", "out.tsv")
    pandas.testing.assert_frame_equal(pandas.read_csv(tmp_path / "out.tsv", sep="\t", keep_default_na=False, na_values={"gap": [""]}), expected)


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
