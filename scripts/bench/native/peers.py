"""The peers' side: `peers.py THREADS FOLDER` measures all of them once for each line on stdin.

FOLDER holds the compiled modules of native.cpp. Prints operation, type, rows, width, peer and milliseconds; an empty line ends a
round. The peers are measured case by case, so that they see the same load.
"""

import sys
import time

import numexpr
import numpy as np
import torch
from scipy import special

# `benches/native.rs` of kernels has the same.
SHAPES = [(1_000_000, 8), (100_000, 100), (10_000, 1000)]
# Of a measurement, of which the fastest counts: the machine may have other work. Slow peers stop at the time limit.
REPETITIONS, SECONDS = 9, 0.3


def entropies(p, threads, modules):
    """What to time, by peer. Only C++ and ours skip zeros without NaN in every version; here none are 0."""
    tensor, out = torch.from_numpy(p), np.empty(len(p), p.dtype)
    works = {
        "NumPy": lambda: -np.einsum("ij,ij->i", p, np.log(p)),
        "SciPy": lambda: special.entr(p).sum(axis=1),
        "PyTorch": lambda: torch.special.entr(tensor).sum(dim=1),
        "numexpr": lambda: -numexpr.evaluate("p * log(p)", {"p": p}).sum(axis=1),
    }
    return works | {name: lambda m=m: (m.entropy(p, out, threads), out)[1] for name, m in modules.items()}


def relus(x, threads, modules):
    """As `entropies`, in place; and a copy of as many bytes."""
    tensor, copy = torch.from_numpy(x), np.empty_like(x)
    works = {
        "NumPy": lambda: np.maximum(x, 0, out=x),
        "PyTorch": lambda: tensor.relu_(),
        "numexpr": lambda: numexpr.evaluate("where(x < 0, 0, x)", {"x": x}, out=x, casting="unsafe"),
        "memcpy": lambda: np.copyto(copy, x),
    }
    return works | {name: lambda m=m: m.relu(x, threads) for name, m in modules.items()}


def milliseconds(work, clock):
    """The time of the fastest of REPETITIONS."""
    times = []
    while len(times) < REPETITIONS and sum(times) < SECONDS:
        start = clock()
        work()
        times.append(clock() - start)
    return 1e3 * min(times)


def cases(threads, modules):
    random = np.random.default_rng(0)
    for rows, width in SHAPES:
        for dtype in ("f4", "f8"):
            p = random.exponential(size=(rows, width))
            p = (p / p.sum(axis=1, keepdims=True)).astype(dtype)
            works = entropies(p, threads, modules)
            expected = special.entr(p.astype("f8")).sum(axis=1)
            for name, work in works.items():
                np.testing.assert_allclose(np.asarray(work()), expected, rtol=1e-5, err_msg=name)
            yield f"entropy {dtype} {rows} {width}", works
            yield f"relu {dtype} {rows} {width}", relus(random.normal(size=(rows, width)).astype(dtype), threads, modules)


def main():
    threads = int(sys.argv[1])
    sys.path.insert(0, sys.argv[2])
    torch.set_num_threads(threads)
    numexpr.set_num_threads(threads)
    modules = {"C++ -O3": __import__("native_O3"), "C++ -Ofast": __import__("native_Ofast")}
    works = list(cases(threads, modules))
    clock = time.process_time if threads == 1 else time.perf_counter
    for _ in sys.stdin:
        for case, named in works:
            for name, work in named.items():
                print(case, name.replace(" ", "_"), f"{milliseconds(work, clock):.4f}")
        print(flush=True)


if __name__ == "__main__":
    main()
