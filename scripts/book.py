"""Stages the book: the pages that docs/SUMMARY.md names, and the files to which they link, into target/book-src for mdBook.

A page of the book is a page of the repository, in the folder in which it lies there, so that a link between two pages, or
to a picture, a script or a configuration, is right in both. mdBook wants its pages below one folder, and copies everything
else in it: therefore a folder of its own. Usage: scripts/book.py (make book); then `mdbook build`.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUMMARY = Path("docs/SUMMARY.md")
STAGE = ROOT / "target/book-src"
# `[text](target#heading)`, `![text](picture)` and `[name]: target`.
LINK = re.compile(r"(?<=\]\()[^)\s#]+|(?<=^\[)[^\]]+\]:\s+\S+", re.MULTILINE)


def links(page: Path) -> list[Path]:
    """The files of the repository that a page names, as paths from the root; what is no path of a file is left to the link checker."""
    targets = [link.split(None, 1)[-1].partition("#")[0] for link in LINK.findall((ROOT / page).read_text())]
    paths = [Path(os.path.normpath(page.parent / target)) for target in targets if "://" not in target]
    return [path for path in paths if (ROOT / path).is_file()]


def tracked() -> set[Path]:
    names = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    return {Path(name) for name in names.decode().split("\0")}


def summary() -> str:
    """The table of contents, whose links are from docs/ in the repository and from the root in the book."""
    return re.sub(
        r"(?<=\]\()[^)]+", lambda link: os.path.normpath(SUMMARY.parent / link.group()), (ROOT / SUMMARY).read_text()
    )


def stage() -> None:
    """Pages, and beside them what they link to. A page that links to one that the book lacks is an error of the link checker."""
    pages = links(SUMMARY)
    files = {file for page in pages for file in links(page) if file.suffix != ".md"}
    shutil.rmtree(STAGE, ignore_errors=True)
    for file in sorted({*pages, *files} & tracked()):
        (STAGE / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, STAGE / file)
    (STAGE / "SUMMARY.md").write_text(summary())


if __name__ == "__main__":
    stage()
