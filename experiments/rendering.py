"""A table's numbers as text for a terminal, in Markdown and in LaTeX, and the files that hold results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ganrev.markdown import markdown_table

_IN_PAPER = "in the paper"


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


def to_text(table: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    """Return the table for a terminal: labels to the left, numbers to the right."""
    rows = [table.columns.tolist(), *table.to_numpy().tolist()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))]
    padded = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "-" * len(padded[0])
    return "\n".join([title, rule, padded[0], rule, *(line.rstrip() for line in padded[1:]), rule, *notes])


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
