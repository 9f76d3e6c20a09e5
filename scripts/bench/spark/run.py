"""Rows a second of `entropy`: one process, Spark's `rdd.pipe` and tasks on files (pipelines/scale/spark), and a pandas UDF.

Spark is a local cluster of two executors with a core each. It starts before the first measurement, and each contestant has a round
that does not count: what is measured are jobs, from a file to a file, in turn. Rows are 8 probabilities, as NDJSON in
double precision or as NPY in single. Prints Markdown: medians with the extremes. Run by `make bench-spark`; the Python
is that of the environment that the target makes.
"""

import argparse
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyspark
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import DoubleType

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()
SHARDS = 8
CHECKED_ROWS = 1000


def load_pipe():
    spec = importlib.util.spec_from_file_location("pipe", ROOT / "pipelines/scale/spark/pipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pandas_udf(DoubleType())
def entropy(probs: pd.Series) -> pd.Series:
    p = np.stack(probs.to_numpy())
    return pd.Series(-(p * np.log(p, where=p > 0, out=np.zeros_like(p))).sum(axis=1))


def contestants(spark, pipe, folder):
    """By name: what reads the rows in `folder` and writes `out`, a file or folder."""
    rows, npy, out = f"{folder}/rows.ndjson", f"{folder}/rows.npy", f"{folder}/out"
    one_thread = ["entropy", "--threads", "1"]

    def process(*command):
        return lambda: subprocess.run(command, check=True)

    def udf():
        frame = spark.read.json(rows, schema="probs array<double>")
        frame.withColumn("entropy", entropy("probs")).write.json(out)

    def udf_parquet():
        frame = spark.read.parquet(f"{folder}/rows.parquet")
        frame.withColumn("entropy", entropy("probs")).write.parquet(out)

    return {
        "NDJSON, one process, one thread": process(*one_thread, rows, "-o", out, "--to", "ndjson"),
        "NDJSON, one process, all threads": process("entropy", rows, "-o", out, "--to", "ndjson"),
        "NDJSON, Spark, rdd.pipe": lambda: pipe.main(rows, out, *one_thread),
        "NDJSON, Spark, pandas UDF": udf,
        "NPY, one process, one thread": process(*one_thread, npy, "-o", out, "--to", "npy"),
        "NPY, one process, all threads": process("entropy", npy, "-o", out, "--to", "npy"),
        "NPY, Spark, a task a file": lambda: pipe.main(f"{folder}/parts/*.npy", out, *one_thread),
        "Parquet, Spark, pandas UDF": udf_parquet,
    }


def first_rows(out):
    """Probabilities and entropies of the first rows of an output, whatever their order: Spark reads Parquet files by size."""
    file = out if out.is_file() else min(path for path in out.iterdir() if path.name[0] not in "._")
    if file.suffix == ".parquet":
        rows = pd.read_parquet(file)[:CHECKED_ROWS]
        return np.stack(rows["probs"].to_numpy()), rows["entropy"].to_numpy()
    with file.open("rb") as stream:
        if stream.read(6) == b"\x93NUMPY":
            rows = np.load(file)[:CHECKED_ROWS]
            return rows["probs"], rows["entropy"]
        stream.seek(0)
        rows = [json.loads(line) for line, _ in zip(stream, range(CHECKED_ROWS))]
        return np.array([row["probs"] for row in rows]), np.array([row["entropy"] for row in rows])


def check(out, contestant):
    """That the entropies are those of the rows' probabilities, by NumPy in double precision."""
    probs, found = first_rows(out)
    probs = probs.astype(np.float64)
    expected = -(probs * np.log(probs, where=probs > 0, out=np.zeros_like(probs))).sum(axis=1)
    assert len(found) == CHECKED_ROWS
    np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=contestant)


def make_rows(folder, count):
    settings = [f"rows={count}", "dtype=f8"]
    subprocess.run([BIN / "gen-data", *settings, "-o", folder / "rows.ndjson"], check=True)
    subprocess.run([BIN / "gen-data", f"rows={count}", "-o", folder / "rows.npy"], check=True)
    (folder / "parts").mkdir()
    for shard in range(1, SHARDS + 1):
        command = [BIN / "gen-data", f"rows={count}", "--shard", f"{shard}/{SHARDS}", "-o", folder / f"parts/{shard}.npy"]
        subprocess.run(command, check=True)


def measure(contestant, run, out):
    """Seconds."""
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    check(out, contestant)
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    return seconds


def session(memory):
    os.environ |= {"PATH": f"{BIN}:{os.environ['PATH']}", "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    return (
        SparkSession.builder.master(f"local-cluster[2,1,{memory}]")
        .config("spark.executor.memory", f"{memory}m")
        .config("spark.log.level", "ERROR")
        .config("spark.ui.enabled", False)
        .config("spark.ui.showConsoleProgress", False)
        .getOrCreate()
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=1024, help="MB of each executor")
    arguments = parser.parse_args()

    spark = session(arguments.memory)
    application = spark.sparkContext.applicationId
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_rows(folder, arguments.rows)
        spark.read.json(str(folder / "rows.ndjson"), schema="probs array<double>").write.parquet(str(folder / "rows.parquet"))
        runs = contestants(spark, load_pipe(), folder)
        seconds = {contestant: [] for contestant in runs}
        for turn in range(-1, arguments.rounds):
            for contestant, run in runs.items():
                took = measure(contestant, run, folder / "out")
                if turn >= 0:
                    seconds[contestant].append(took)
    spark.stop()
    # Workers of a local cluster know no other place.
    shutil.rmtree(Path(pyspark.__file__).parent / "work" / application, ignore_errors=True)

    packages = ", ".join(f"{package} {version(package)}" for package in ("pyspark", "pandas", "pyarrow", "numpy"))
    print(f"\n{os.cpu_count()} cores, CPython {platform.python_version()}, {packages}")
    print(f"{arguments.rows} rows, n = {arguments.rounds}\n")
    print("| | s | million rows/s |\n| --- | --- | --- |")
    for contestant, times in seconds.items():
        median = statistics.median(times)
        print(f"| {contestant} | {median:.2f} ({min(times):.2f}–{max(times):.2f}) | {arguments.rows / median / 1e6:.2f} |")


if __name__ == "__main__":
    main()
