"""The whole fault matrix: make faults. Prints a table of trials, and what failed; exit status 1 if anything did."""

import argparse
import sys
import tempfile
from pathlib import Path

from matrix import FAULTS, JOBS, Failed, Fixtures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool", action="append", help="this tool alone; may be given several times")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="this fault alone; likewise")
    parser.add_argument("--sample", action="store_true", help="a few trials of each cell, as the tests do")
    args = parser.parse_args()
    jobs = [job for job in JOBS if not args.tool or job.tool in args.tool]
    faults = {name: fault for name, fault in FAULTS.items() if not args.fault or name in args.fault}
    failures = []
    print("| tool | " + " | ".join(faults) + " |")
    print("| --- " * (len(faults) + 1) + "|")
    with tempfile.TemporaryDirectory() as folder:
        fixtures = Fixtures(Path(folder))
        for job in jobs:
            cells = []
            for name, fault in faults.items():
                try:
                    cells.append(str(fault(job, fixtures, not args.sample) or "–"))
                except Exception as problem:  # noqa: BLE001: the other cells still tell something
                    kind = "" if isinstance(problem, Failed) else f"{type(problem).__name__}: "
                    failures.append(f"{job.tool}, {name}: {kind}{problem}")
                    cells.append("FAILED")
            print(f"| {job.tool} | " + " | ".join(cells) + " |", flush=True)
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
