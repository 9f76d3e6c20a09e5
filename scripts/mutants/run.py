#!/usr/bin/env python3
"""How much of a change `cargo test -p CRATE` notices: a seeded sample of cargo-mutants' changes, crate by crate.

The sample is every so-many-th mutant of a crate, and at least eight. It is tested in a copy of the working tree, with a
target folder of its own, both in .tools/mutants; nothing here is changed. A mutant is caught when the tests of its own
crate fail, or do not end. What does not compile is left out of the figures.

Prints a table, and writes it with every missed mutant to .tools/mutants/report.json. Exit status: 0 if at least the
threshold is caught, 1 if not, 2 if it cannot be told: a crate's tests fail without a change.
"""

import argparse
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".tools" / "mutants"
TREE = WORK / "tree"
REASONS = ROOT / "docs" / "design" / "mutants.md"
CRATES = ["records", "files", "config", "metrics", "optim", "dataset", "score"]
# Cheap to compile, and quick enough to run; what the crate depends on keeps the profile's own.
OPT_LEVEL = 1
# Mutants of a crate, at least, however small it is.
LEAST = 8
ENVIRONMENT = os.environ | {"CARGO_TARGET_DIR": str(WORK / "target"), "CARGO_TERM_COLOR": "never"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crates", nargs="*", default=CRATES, metavar="CRATE", help=f"default: {' '.join(CRATES)}")
    parser.add_argument("--sample", type=int, default=84, help="mutants to test, of all crates; default 84")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another sample; default 0")
    parser.add_argument("--threshold", type=float, default=85.0, help="percent that must be caught; default 85")
    parser.add_argument("--list", action="store_true", help="print the sample and test nothing")
    return parser.parse_args()


def refuse(problem):
    print(f"mutants: {problem}", file=sys.stderr)
    sys.exit(2)


def copy_tree():
    """Brings the copy up to date. A file that is the same keeps its time, so that cargo builds no more than it must."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    names = {name for name in listed if name and (ROOT / name).is_file()}
    for path in [path for path in TREE.rglob("*") if path.is_file()]:
        if str(path.relative_to(TREE)) not in names:
            path.unlink()
    for name in names:
        source, copy = ROOT / name, TREE / name
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)


def cargo_mutants(*args, **options):
    program = ROOT / ".tools" / "bin" / "cargo-mutants"
    return subprocess.run([program, "mutants", *args], cwd=TREE, env=ENVIRONMENT, **options)


def listed(crate, *shard):
    """The names of mutants: `path:line:column: what is replaced by what`."""
    done = cargo_mutants("--list", "--json", "--package", crate, *shard, stdout=subprocess.PIPE, check=True)
    return [mutant["name"] for mutant in json.loads(done.stdout)]


def shard(seed, every):
    """Options for every so-many-th mutant from one on that the seed chooses: another seed has all others."""
    return ["--no-shuffle", "--sharding", "round-robin", "--shard", f"{seed % every}/{every}"]


def without_line(name):
    """A name that stays when lines are added above."""
    return re.sub(r":\d+:\d+:", ":", name, count=1)


def shards(counts, size):
    """Every how many-th mutant of each crate is tested: in proportion to the crates, but some of each."""
    every = max(1, sum(counts.values()) // size)
    return {crate: max(1, min(every, count // LEAST)) for crate, count in counts.items()}


def run(crate, options):
    """How the tests of `crate` took each mutant of a shard: Caught, Missed, Timeout or Unviable."""
    out = WORK / crate
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    opt_level = f"--config=profile.release.package.{crate}.opt-level={OPT_LEVEL}"
    done = cargo_mutants(
        *["--package", crate, "--in-place", "--profile", "release", "--output", out, "--colors", "never"],
        *["--cargo-arg", opt_level, "--minimum-test-timeout", "30", *options],
        stdout=sys.stderr,
    )
    outcomes = json.loads((out / "mutants.out" / "outcomes.json").read_text())["outcomes"]
    baseline = [outcome for outcome in outcomes if outcome["scenario"] == "Baseline"]
    if any(outcome["summary"] != "Success" for outcome in baseline) or done.returncode not in (0, 2, 3):
        log = out / "mutants.out" / "log" / "baseline.log"
        refuse(f"{crate}: cargo-mutants ended with status {done.returncode}; see {log}")
    tested = [outcome for outcome in outcomes if outcome["scenario"] != "Baseline"]
    return {outcome["scenario"]["Mutant"]["name"]: outcome["summary"].removesuffix("Mutant") for outcome in tested}


def reasons():
    """The code spans of the page with reasons: among them the names of mutants, without line and column."""
    return set(re.findall(r"`([^`]+)`", REASONS.read_text())) if REASONS.exists() else set()


def table(rows):
    lines = [f"{'crate':<10}{'mutants':>8}{'caught':>8}{'missed':>8}{'timeout':>8}{'unviable':>9}{'%':>7}"]
    for row in rows:
        columns = [f"{row[key]:>8}" for key in ("mutants", "caught", "missed", "timeout")] + [f"{row['unviable']:>9}"]
        lines.append(f"{row['crate']:<10}{''.join(columns)}{row['percent']:>7.1f}")
    return "\n".join(lines)


def row_of(crate, outcomes):
    count = lambda kind: sum(outcome == kind for outcome in outcomes.values())  # noqa: E731
    caught, missed, timeout, unviable = map(count, ("Caught", "Missed", "Timeout", "Unviable"))
    viable = caught + missed + timeout
    percent = 100 * (caught + timeout) / viable if viable else 100.0
    figures = {"mutants": viable, "caught": caught, "missed": missed, "timeout": timeout, "unviable": unviable}
    return {"crate": crate, **figures, "percent": round(percent, 1)}


def main():
    options = arguments()
    os.nice(5)
    TREE.mkdir(parents=True, exist_ok=True)
    lock = open(WORK / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        refuse("another run of this script changes the copy; wait for it")
    copy_tree()
    counts = {crate: len(listed(crate)) for crate in options.crates}
    chosen = {crate: shard(options.seed, every) for crate, every in shards(counts, options.sample).items()}
    if options.list:
        for crate, choice in chosen.items():
            names = listed(crate, *choice)
            print(f"{crate}: {len(names)} of {counts[crate]}", *names, sep="\n  ")
        return 0
    outcomes = {crate: run(crate, choice) for crate, choice in chosen.items()}
    rows = [row_of(crate, outcomes[crate]) for crate in outcomes]
    total = row_of("all", {name: kind for each in outcomes.values() for name, kind in each.items()})
    missed = [name for each in outcomes.values() for name, kind in each.items() if kind == "Missed"]
    print(table([*rows, total]))
    explained = reasons()
    for name in missed:
        print("missed:", name, "(docs/design/mutants.md has the reason)" if without_line(name) in explained else "")
    report = {"seed": options.seed, "sample": options.sample, "crates": rows, "all": total, "outcomes": outcomes}
    (WORK / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    if total["percent"] < options.threshold:
        print(f"mutants: {total['percent']} % are caught, and {options.threshold:g} % must be", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
