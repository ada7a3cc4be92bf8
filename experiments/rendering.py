"""A table's numbers as text for a terminal, in Markdown and in LaTeX, and the files that hold results."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ganrev.markdown import markdown_table

_IN_PAPER = "in the paper"
_WIDTH = 120  # characters, where there is no terminal


@dataclass(frozen=True)
class _Column:
    """How one column is shown: its key in the frame, digits, the paper's key if it has one, a factor of units."""

    header: str
    key: str
    digits: int
    paper: str | None = None
    interval: bool = False
    factor: float = 1


_COLUMNS = (
    _Column("n", "num_images", 0),
    _Column("px", "image_size", 0),
    _Column("bytes", "num_bytes", 0),
    _Column("BPP", "paper_bpp", 3, "bpp_in_paper", interval=True),
    _Column("CR", "cr", 1, "cr_in_paper"),
    _Column("PSNR, dB", "psnr", 2, "psnr_in_paper", interval=True),
    _Column("MSE", "mse", 1, "mse_in_paper"),
    _Column("SSIM", "ssim", 3, "ssim_in_paper", interval=True),
    _Column("ΔE", "delta_e", 2),
    _Column("MS-SSIM", "ms_ssim", 3),
    _Column("ST-LPIPS", "stlpips", 3),
    _Column("SSIMULACRA2", "ssimulacra2", 1),
    _Column("identity", "identity", 3),
    _Column("same person, %", "identity_share", 0, factor=100),
    _Column("rank 1, %", "identity_rank1", 0, factor=100),
    _Column("encode, s", "encode_seconds", 4),
    _Column("decode, ms", "decode_seconds", 1, factor=1000),
)


def _number(value: float, digits: int | None) -> str:
    """Return a number as text: empty if undefined, with 6 significant digits at most where `digits` is None."""
    if pd.isna(value):
        return ""
    if math.isinf(value):
        return "∞"
    return f"{value:g}" if digits is None else f"{value:.{digits}f}"


def _measured(line: pd.Series, column: _Column) -> str:
    text = _number(line[column.key] * column.factor, column.digits)
    half = line.get(f"{column.key}_ci95", math.nan) if column.interval else math.nan
    return text if pd.isna(half) else f"{text} ±{_number(half, column.digits)}"


def cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table as strings: a line for each scheme, and the paper's figures for it, if any, right below.

    The pictures' size is left out where all have 128 pixels, and so are measures that no row has.
    """
    shown = [c for c in _COLUMNS if c.key in frame]
    if (frame["image_size"] == 128).all():
        shown = [c for c in shown if c.key != "image_size"]
    lines = []
    for _, line in frame.iterrows():
        lines.append({"scheme": line["scheme"]} | {c.header: _measured(line, c) for c in shown})
        paper = {c.header: _number(line[c.paper], None) if c.paper else "" for c in shown}
        if any(paper.values()):
            lines.append({"scheme": f"  {_IN_PAPER}"} | paper)
    return pd.DataFrame(lines)


def to_text(table: pd.DataFrame, title: str, notes: Sequence[str], width: int | None = None) -> str:
    """Return the table for a terminal: labels to the left, numbers to the right, in blocks that are no wider than it.

    Args:
        table: as `cells` makes it.
        title: above it.
        notes: below it.
        width: of the terminal, in characters; None asks the terminal itself.
    """
    measured = table[~table["scheme"].str.startswith(" ")]
    beside = table.drop(index=measured.index)  # the paper's figures
    alike = [
        c
        for c in table.columns[1:]
        if len(measured) > 1 and set(measured[c]) == {measured[c].iloc[0]} != {""} and beside[c].eq("").all()
    ]
    told = [f"All rows: {', '.join(f'{c} {measured[c].iloc[0]}' for c in alike)}."] if alike else []
    blocks = _blocks(table.drop(columns=alike), width or shutil.get_terminal_size((_WIDTH, 24)).columns)
    rule = "-" * max(len(line) for block in blocks for line in block)
    body = [line for block in blocks for line in (rule, block[0], rule, *block[1:])]
    return "\n".join([title, *body, rule, *told, *notes])


def _blocks(table: pd.DataFrame, width: int) -> list[list[str]]:
    """Return the lines of a table in blocks that fit a width where each column does, every block with the labels."""
    widths = {c: max(len(c), *map(len, table[c])) for c in table.columns}
    label, *others = table.columns
    groups: list[list[str]] = [[]]
    for column in others:
        used = widths[label] + sum(2 + widths[c] for c in [*groups[-1], column])
        if groups[-1] and used > width:
            groups.append([])
        groups[-1].append(column)
    blocks = []
    for group in groups:
        rows = table.loc[(table[group] != "").any(axis=1) | ~table[label].str.startswith(" "), [label, *group]]
        lines = [[label, *group], *rows.to_numpy().tolist()]
        blocks.append(
            [
                "  ".join([first.ljust(widths[label]), *(c.rjust(widths[g]) for c, g in zip(rest, group, strict=True))])
                for first, *rest in lines
            ]
        )
    return [[line.rstrip() for line in block] for block in blocks]


def to_markdown(table: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    """Return the table in Markdown, its notes as a list."""
    rows = [
        [f"*{cell.strip()}*" if indented and cell else cell for cell in row]
        for row in table.to_numpy().tolist()
        for indented in [row[0].startswith(" ")]
    ]
    listed = [f"- {note}" for note in notes]
    return "\n".join([f"**{title}**", "", markdown_table(table.columns, rows), "", *listed]) + "\n"


def to_latex(table: pd.DataFrame, title: str, notes: Sequence[str], name: str) -> str:
    """Return the table in LaTeX (package booktabs), its notes as small print."""
    indented = table["scheme"].str.startswith(" ")
    plain = table.assign(scheme=table["scheme"].str.strip())
    plain = plain.apply(lambda column: column.map(_escape))
    plain.columns = [_escape(header) for header in plain.columns]
    plain.loc[indented, "scheme"] = r"\quad " + plain.loc[indented, "scheme"]
    body = plain.to_latex(index=False, escape=False, column_format="l" + "r" * (len(plain.columns) - 1)).rstrip()
    small = "\n".join(f"{_escape(note)}\\\\" for note in notes)
    head = f"% needs \\usepackage{{booktabs}}\n\\begin{{table*}}\n\\centering\n\\caption{{{_escape(title)}}}"
    return f"{head}\n\\label{{tab:{name}}}\n{body}\n\n\\footnotesize\n{small}\n\\end{{table*}}\n"


_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "Δ": r"$\Delta$",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)


def write_results(frame: pd.DataFrame, folder: Path, name: str, texts: dict[str, str]) -> list[Path]:
    """Write numbers as `<name>.csv`, and texts beside them; returns the paths.

    Args:
        frame: the numbers, unrounded.
        folder: made if missing.
        name: of the files, without suffix.
        texts: content of each further file by its suffix, such as `.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"{name}.csv"
    frame.to_csv(table, index=False)
    paths = [folder / f"{name}{suffix}" for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return [table, *paths]
