"""What the pages of this folder say: the `sh` blocks run, and the links lead somewhere."""

import os
import re
from pathlib import Path

import pytest
from peers import shell, with_tools

HERE = Path(__file__).parent
PAGES = sorted(HERE.rglob("README.md"))


def test_the_commands_run(tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```", (HERE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        shell(block, tmp_path, os.environ | {"PATH": with_tools()})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_links_lead_to_files_and_headings(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        target, _, heading = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}, link
