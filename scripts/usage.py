"""Writes what each tool prints for --help into its page in docs/, behind the line that names the command.

Usage: scripts/usage.py (make docs); the tools are those of PIPEGRAD_BIN, target/release if it is not set. A tool that is
not built is left as it is. tools/pipegrad/tests/peer_docs.py compares.
"""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target/release"))
BLOCK = re.compile(r"(^<!-- make docs: (\S+ --help) -->\n\n```text\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE)


def block(page: str) -> tuple[str, str]:
    """The command whose output a page has, and that output."""
    ((_, command, text),) = BLOCK.findall(page)
    return command, text


def main() -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text()
        for _, command, _ in BLOCK.findall(text):
            tool, *arguments = command.split()
            if not (BIN / tool).exists():
                print(f"usage: {page.name}: {BIN / tool} is not built: left as it is")
                continue
            shown = subprocess.run([BIN / tool, *arguments], capture_output=True, text=True, check=True).stdout
            page.write_text(BLOCK.sub(lambda found: found.group(1) + shown, text))


if __name__ == "__main__":
    main()
