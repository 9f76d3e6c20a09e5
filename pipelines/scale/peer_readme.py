"""What the page of this folder says: the `sh` blocks run."""

import os
import re
from pathlib import Path

from peers import shell, with_tools

HERE = Path(__file__).parent


def test_the_commands_run(tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```", (HERE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        shell(block, tmp_path, os.environ | {"PATH": with_tools()})
