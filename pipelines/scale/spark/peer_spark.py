"""Rows through `entropy` under a real Spark: a master, two workers and an executor each, as processes of this machine."""

import importlib.util
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pyspark
import pytest
from peers import BIN, load_stream, shell, with_tools
from pyspark.sql import SparkSession

HERE = Path(__file__).parent
if not os.environ.get("CI"):
    pytestmark = pytest.mark.skipif(not shutil.which("java"), reason="needs Java 17 or newer: Debian's default-jre-headless")

ENTROPY = ["entropy", "--threads", "1"]
ENV = os.environ | {"PATH": with_tools()}


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session; starting one takes longer than all that the tests do in it."""
    assert shutil.which("java"), "install Java 17 or newer: Debian's default-jre-headless"
    folder = tmp_path_factory.mktemp("spark")
    # For JVMs that live for seconds.
    options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "PATH": with_tools(),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_SUBMIT_ARGS": f"--driver-java-options '{options}' pyspark-shell",
            "SPARK_LOCAL_DIRS": str(folder),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }.items():
            patch.setenv(name, value)
        session = (
            SparkSession.builder.master("local-cluster[2,1,1024]")
            .config("spark.executor.memory", "512m")
            .config("spark.executor.extraJavaOptions", options)
            .config("spark.log.level", "OFF")
            .config("spark.task.maxFailures", 2)
            .config("spark.ui.enabled", False)
            .getOrCreate()
        )
        yield session
        application = session.sparkContext.applicationId
        session.stop()
        # Workers of a local cluster know no other place.
        shutil.rmtree(Path(pyspark.__file__).parent / "work" / application, ignore_errors=True)


@pytest.fixture(scope="module")
def pipe():
    spec = importlib.util.spec_from_file_location("pipe", HERE / "pipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rows(tmp_path):
    """rows.ndjson, and what one process makes of it."""
    shell("gen-data rows=20000 classes=4 | tee rows.ndjson | entropy > whole.ndjson", tmp_path, ENV)
    return tmp_path / "rows.ndjson"


def same(folder):
    shell("cat out/part-* | cmp - whole.ndjson", folder)
    assert (folder / "out/_SUCCESS").exists()


def test_ndjson_is_the_output_of_one_process(spark, pipe, rows, tmp_path):
    pipe.main(str(rows), str(tmp_path / "out"), *ENTROPY)
    assert len(list((tmp_path / "out").glob("part-*"))) > 1
    same(tmp_path)


def test_npy_is_the_output_of_one_process(spark, pipe, tmp_path):
    for shard in (1, 2, 3):
        shell(f"gen-data rows=5001 --shard {shard}/3 -o {shard}.npy", tmp_path, ENV)
    pipe.main(str(tmp_path / "*.npy"), str(tmp_path / "out"), *ENTROPY)
    shell("gen-data rows=5001 --to npy | entropy > whole.npy", tmp_path, ENV)
    parts = b"".join((tmp_path / f"out/{shard}.npy").read_bytes() for shard in (1, 2, 3))
    assert (load_stream(parts) == load_stream((tmp_path / "whole.npy").read_bytes())).all()
    for shard in (1, 2, 3):
        shell(f"entropy {shard}.npy -o - | cmp - out/{shard}.npy", tmp_path, ENV)


def test_a_partition_without_rows_is_no_error(spark, pipe, rows, tmp_path):
    first = rows.read_text().splitlines()[0]
    few = spark.sparkContext.textFile(str(rows), 3).filter(lambda row: row == first)
    assert pipe.pipe(few, ENTROPY).collect() == [(tmp_path / "whole.ndjson").read_text().splitlines()[0]]


def test_a_tool_that_fails_fails_the_job(spark, pipe, rows, tmp_path):
    lines = rows.read_text().splitlines(keepends=True)
    lines[15000] = '{"probs":[0.5,0.4,0,0]}\n'
    rows.write_text("".join(lines))
    with pytest.raises(Exception, match="exited with error code 2"):
        pipe.main(str(rows), str(tmp_path / "out"), *ENTROPY)
    assert not (tmp_path / "out/_SUCCESS").exists()
    # What `checkCode` is for: without it, the rows behind the bad one are lost and the job succeeds.
    text = spark.sparkContext.textFile(str(rows))
    assert text.pipe(f"{BIN}/entropy").count() < len(lines)

    shell("gen-data rows=10 -o good.npy && head -c 100 good.npy > bad.npy", tmp_path, ENV)
    with pytest.raises(Exception, match="returned non-zero exit status 2"):
        pipe.main(str(tmp_path / "*.npy"), str(tmp_path / "npy"), *ENTROPY)
    assert not (tmp_path / "npy/bad.npy").exists()


def is_executor(process):
    try:
        return "CoarseGrainedExecutorBackend" in " ".join(process.cmdline())
    except psutil.Error:  # The tools start and end while this looks.
        return False


def executors(spark):
    driver = psutil.Process(spark.sparkContext._gateway.proc.pid)
    return list(filter(is_executor, driver.children(recursive=True)))


def test_an_executor_that_is_killed_changes_nothing(spark, pipe, rows, tmp_path):
    (tmp_path / "started").mkdir()
    slow = ["bash", "-c", f"touch {tmp_path}/started/$$; sleep 1; exec entropy --threads 1"]
    killed = []

    def kill():
        end = time.monotonic() + 120
        while len(list((tmp_path / "started").iterdir())) < 4 and time.monotonic() < end:
            time.sleep(0.05)
        victim = executors(spark)[0]
        os.kill(victim.pid, signal.SIGKILL)
        killed.append(victim)

    thread = threading.Thread(target=kill)
    thread.start()
    pipe.pipe(spark.sparkContext.textFile(str(rows), 8), slow).saveAsTextFile(str(tmp_path / "out"))
    thread.join()
    assert killed and not killed[0].is_running()
    parts = len(list((tmp_path / "out").glob("part-*")))
    assert len(list((tmp_path / "started").iterdir())) > parts >= 8, "what the executor was at is done again"
    same(tmp_path)
