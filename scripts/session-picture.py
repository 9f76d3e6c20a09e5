"""Runs the commands below in a terminal of their own and writes what it shows as docs/pictures/session.svg.

Usage, from the root: . ./env.sh && python scripts/session-picture.py [FILE] (rich comes with DVC).
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

COLUMNS, LINES = 120, 17
COMMANDS = [
    "gen-data rows=2 classes=4 | entropy --base 2",
    "gen-data --to npy | entropy | train -o runs/tour trainer.max_epochs=5",
    "pipegrad export runs/tour",
    "infer -m runs/tour/model.onnx runs/tour/test.npy | score --fail-if 'mse>0.01'",
    "plot runs/tour --terminal 'charts=[loss]'",
]
FONT_FACE = re.compile(r"@font-face *\{[^}]*\}\s*")
CONTROL = re.compile(r"\r\n|\r|\n|\x1b\[\d*[A-HJKST]")


def output(command: str, folder: Path) -> str:
    """What `command` writes to a terminal."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, stdout=side, stderr=side, env=environment
    )
    os.close(side)
    read = b""
    while True:
        try:
            part = os.read(main, 1 << 16)
        except OSError:  # Linux: the last writer closed its end.
            break
        if not part:
            break
        read += part
    assert process.wait() == 0, (command, read)
    return read.decode()


def screen(text: str) -> list[str]:
    """The lines that a terminal shows in the end, with their colours: carriage returns, wrapping, erasing and cursor-up applied."""
    lines, row, begin = [""], 0, 0
    for control in [*CONTROL.finditer(text), None]:
        lines[row] += text[begin : control.start() if control else None]
        while len(lines[row]) > COLUMNS and "\x1b" not in lines[row]:
            lines[row:] = [lines[row][:COLUMNS], lines[row][COLUMNS:]]
            row += 1
        if control is None:
            break
        begin, code = control.end(), control.group()
        if code in ("\r\n", "\n"):
            row += 1
            if row == len(lines):
                lines.append("")
        elif code == "\r" or code.endswith("K"):
            lines[row] = ""
        elif code.endswith("F"):
            row -= int(code[2:-1] or 1)
            lines[row] = ""
        elif code.endswith("J"):
            lines[row:] = [""]
    return [line.rstrip() for line in lines]


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    with open(os.devnull, "w") as nowhere, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "configs").symlink_to(root / "configs")
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="256")
        for command in COMMANDS:
            console.print(Text("$ ", style="bold green") + Text(command, style="bold"))
            for line in filter(None, screen(output(command, Path(folder)))):
                console.print(Text.from_ansi(line), soft_wrap=True)
        picture = console.export_svg(title="pipegrad", unique_id="session", theme=DEFAULT_TERMINAL_THEME)
    # Rich's own style loads a font from the network.
    picture = FONT_FACE.sub("", picture).replace("Fira Code, monospace", "monospace")
    file = Path(sys.argv[1]) if sys.argv[1:] else root / "docs/pictures/session.svg"
    file.write_text("".join(line.rstrip() + "\n" for line in picture.splitlines()))


if __name__ == "__main__":
    main()
