"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True) -> str:
    """Return a table.

    Args:
        header: name of each column.
        rows: cells of each row, as many as the header has.
        numbers: whether all columns but the first hold numbers, which are aligned to the right.
    """
    rule = "| --- |" + (" ---: |" if numbers else " --- |") * (len(header) - 1)
    return "\n".join([_line(header), rule, *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in cells) + " |"
