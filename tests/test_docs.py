"""The pages in docs/ against the tree."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENDINGS = (".py", ".pyi", ".yaml", ".md", ".json", ".toml", ".txt")


def files_of(line):
    """Yield the files and folders that a line names; those without a folder lie beside the one before."""
    folder = ROOT
    for name in re.findall(r"`([\w./-]+)`", line):
        if not name.endswith((*ENDINGS, "/")):
            continue
        path = ROOT / name if "/" in name or folder == ROOT else folder / name
        folder = path if name.endswith("/") else path.parent
        yield path


@pytest.mark.parametrize("page", ["rooms.md", "glossary.md"])
def test_every_file_that_a_page_names_is_there(page):
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        links = [ROOT / "docs" / link for link in re.findall(r"\]\(([\w./-]+)\)", line)]
        paths = [path for path in files_of(re.sub(r"\[.*?\]\(.*?\)", "", line)) if line.startswith("|")]
        for path in [*links, *paths]:
            assert path.exists(), line
