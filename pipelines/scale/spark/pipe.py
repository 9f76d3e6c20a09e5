"""Sends rows through a filter, one process a partition.

    spark-submit pipe.py rows.ndjson out entropy --threads 1
    spark-submit pipe.py 'parts/*.npy' out entropy --threads 1

NDJSON goes line by line through `rdd.pipe`, from and to whatever Spark reads and writes; out/part-* in order are the output of
one process. NPY is binary, which `rdd.pipe` is not: there the rows of the RDD are the names of files on a file system that all
nodes share, and each process reads one file and writes one of the same name into `out`.
"""

import glob
import os
import shlex
import subprocess
import sys
from pathlib import Path

from pyspark.sql import SparkSession

# A partition may be empty, after a filter for instance, and no rows are an error to the tools. The process replaces the shell.
UNLESS_EMPTY = 'IFS= read -r row || exit 0; { printf "%s\\n" "$row"; cat; } | "$@"'


def pipe(rows, command):
    """An RDD of lines through a command, given as a list of words; the job fails if the command does."""
    # Without `checkCode` Spark takes the output of a tool that failed for all of it; without `env` the process has no PATH.
    command = shlex.join(["bash", "-o", "pipefail", "-c", UNLESS_EMPTY, "-", *command])
    return rows.pipe(command, env={"PATH": os.environ["PATH"]}, checkCode=True)


def pipe_files(context, files, out, command):
    """Each file through a command that takes an input and `-o`, into a file of the same name. A task that Spark repeats,
    or runs twice, is harmless: the tools rename their output into place."""
    Path(out).mkdir(parents=True)

    def run(file):
        subprocess.run([*command, file, "-o", str(Path(out) / Path(file).name)], check=True)

    context.parallelize(files, len(files)).foreach(run)


def main(rows, out, *command):
    context = SparkSession.builder.appName(command[0]).getOrCreate().sparkContext
    if rows.endswith(".npy"):
        files = sorted(map(os.path.abspath, glob.glob(rows)))
        if not files:
            sys.exit(f"pipe.py: {rows}: no such files")
        pipe_files(context, files, os.path.abspath(out), list(command))
    else:
        pipe(context.textFile(rows), list(command)).saveAsTextFile(out)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: spark-submit pipe.py ROWS OUT COMMAND...")
    main(*sys.argv[1:])
