"""Entropy of rows and ReLU: `kernels` against NumPy, SciPy, PyTorch, numexpr and a pybind11 module in C++.

Nanoseconds an element, of CPU time on one thread and of wall time on two; the contestants take turns, round by round, each measurement the
fastest of up to nine. NumPy and SciPy have one thread. ReLU works in place; memcpy copies as many bytes. Ours checks its rows as
well.
Run by `make bench-native`; the Python is that of the environment that the target makes.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from contestant import Contestant, bench  # noqa: E402  shared by the benchmarks

HERE = Path(__file__).resolve().parent
MODULES = {"native_O3": ["-O3"], "native_Ofast": ["-Ofast", "-march=native"]}
PEERS = ["C++ -Ofast", "C++ -O3", "NumPy", "SciPy", "PyTorch", "numexpr", "memcpy"]


def compile_modules(folder):
    import pybind11

    includes = [f"-I{path}" for path in (pybind11.get_include(), sysconfig.get_paths()["include"])]
    common = [os.environ.get("CXX", "g++"), "-std=c++17", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread", *includes]
    for name, options in MODULES.items():
        target = Path(folder) / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
        subprocess.run([*common, *options, f"-DMODULE={name}", HERE / "native.cpp", "-o", target], check=True)


def measure(threads, folder, rounds):
    """Milliseconds of each round, by case and contestant."""
    # NumPy asks for huge pages, Rust's allocator does not.
    ours = Contestant([bench("kernels", "native"), threads], GLIBC_TUNABLES="glibc.malloc.hugetlb=1")
    peers = Contestant([sys.executable, HERE / "peers.py", threads, folder])
    times = {}
    for number in range(rounds + 1):
        lines = {f"{case} ours": ms for case, ms in ours.round().items()} | peers.round()
        for line, ms in lines.items() if number else []:  # The first round warms up.
            case, name = line.rsplit(maxsplit=1)
            times.setdefault(case, {}).setdefault(name.replace("_", " "), []).append(ms)
    ours.close(), peers.close()
    return times


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def row(case, threads, times):
    operation, dtype, rows, width = case.split()
    to_ns = 1e6 / (int(rows) * int(width))
    cells = [operation, dtype, f"{rows} × {width}", threads, spread([to_ns * ms for ms in times["ours"]], 3)]
    for peer in PEERS:
        ratios = [theirs / ours for ours, theirs in zip(times["ours"], times.get(peer, []))]
        cells.append(spread(ratios, 1 if min(ratios) >= 3 else 2) if ratios else "")
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="rounds of all cases")
    args = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, n = {args.runs}; peers as multiples of our time\n")
    head = ["", "dtype", "rows × width", "threads", "kernels, ns an element", *PEERS]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    with tempfile.TemporaryDirectory() as folder:
        compile_modules(folder)
        results = {threads: measure(threads, folder, args.runs) for threads in (1, 2)}
    for case in sorted(results[1]):
        for threads, times in results.items():
            print(f"| {' | '.join(map(str, row(case, threads, times[case])))} |")
    print("\nSecond thread, times faster:", end=" ")
    for case in sorted(results[1]):
        one, two = (statistics.median(results[threads][case]["ours"]) for threads in (1, 2))
        print(f"{case} {one / two:.2f}", end="; ")
    print()


if __name__ == "__main__":
    main()
