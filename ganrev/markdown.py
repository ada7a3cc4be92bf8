"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column stands to the left and whose others stand to the right.

    Args:
        header: name of each column.
        rows: cells of each row, as many as the header has.
    """
    rule = "| --- |" + " ---: |" * (len(header) - 1)
    return "\n".join([_line(header), rule, *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in cells) + " |"
