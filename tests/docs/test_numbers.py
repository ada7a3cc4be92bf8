"""What README quotes of results/reference/ stands there."""

from pathlib import Path

from tests.docs.miniature import ROOT


def table_of(page: Path) -> list[dict[str, str]]:
    """Return the rows of a page's first table, cells by their headings."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| scheme |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    heading, _, *rest = rows
    return [dict(zip(heading, row, strict=True)) for row in rest]


def test_the_table_of_the_readme_is_the_stored_one():
    stored = iter(table_of(ROOT / "results" / "reference" / "table1.md"))
    for quoted in table_of(ROOT / "README.md"):
        row = next((one for one in stored if one["scheme"] == quoted["scheme"]), None)
        assert row is not None, f"results/reference/table1.md has no further row {quoted['scheme']}"
        assert quoted == {key: row[key] for key in quoted}, "README.md must be brought up to date"
