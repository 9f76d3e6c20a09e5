"""Size and start-up of the programs: each tool on its own, the program that contains all, and the wheel's scripts.

Start-up is the wall time of `entropy --version` as a child of this process, in turns; `/bin/true` shows what a process costs. Run by
`make bench-programs`, after `make build`; the wheel is measured where dist/ has one.
"""

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target/release"))
SCRIPT = ROOT / "scripts/wheel-command.sh"


def stripped(folder, name):
    subprocess.run(["strip", "-o", folder / name, BIN / name], check=True)
    return folder / name


def starts(commands, rounds):
    """Milliseconds of each start, by command."""
    times = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300)
    args = parser.parse_args()
    tools = subprocess.run([BIN / "pipegrad", "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        apart = sum(stripped(folder, tool).stat().st_size for tool in tools)
        together = stripped(folder, "pipegrad")
        print(f"{platform.platform()}, n = {args.runs}\n")
        print(f"{len(tools)} programs: {apart / 1e6:.1f} MB; pipegrad: {together.stat().st_size / 1e6:.1f} MB, stripped")
        for path in sorted((ROOT / "dist").glob("pipegrad-*")):
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
        script = folder / "script"
        script.write_text(SCRIPT.read_text().replace("@tool@", "entropy"))
        script.chmod(0o755)
        commands = {
            "/bin/true": ["/bin/true"],
            "entropy": [folder / "entropy", "--version"],
            "pipegrad entropy": [together, "entropy", "--version"],
            "script of the wheel": [script, "--version"],
        }
        print("\n| start of | ms |\n|---|---|")
        for name, times in starts(commands, args.runs).items():
            low, middle, _ = statistics.quantiles(times, n=4)
            print(f"| {name} | {middle:.2f} (first quartile {low:.2f}) |")


if __name__ == "__main__":
    main()
