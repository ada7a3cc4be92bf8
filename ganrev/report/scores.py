"""The report's table: a line for each run, measured beside the paper's figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ganrev.report.reported import ReportedRun


@dataclass(frozen=True)
class Cell:
    """One number of the table.

    Attributes:
        text: as it is read, with its interval.
        sort: what it is sorted by, plain decimals.
        paper: the paper's figure; empty where it has none.
    """

    text: str
    sort: str
    paper: str = ""


@dataclass(frozen=True)
class Column:
    """How a column is made: heading, key of the summary's means, digits, the paper's name for it, factor of units."""

    heading: str
    key: str
    digits: int
    paper: str = ""
    has_interval: bool = False
    factor: float = 1


_COLUMNS = (
    Column("n", "num_images", 0),
    Column("px", "image_size", 0),
    Column("bytes", "num_bytes", 1, has_interval=True),
    Column("BPP", "paper_bpp", 3, "bpp", has_interval=True),
    Column("CR", "cr", 1, "cr"),
    Column("PSNR, dB", "psnr", 2, "psnr", has_interval=True),
    Column("MSE", "mse", 1, "mse"),
    Column("SSIM", "ssim", 3, "ssim", has_interval=True),
    Column("ST-LPIPS", "stlpips", 3, has_interval=True),
    Column("encode, s", "encode_seconds", 4),
    Column("decode, ms", "decode_seconds", 1, factor=1000),
)
_USUAL_SIDE = 128


def shown_columns(runs: Sequence[ReportedRun]) -> list[Column]:
    """Return the columns that some run has a number for; the pictures' size only where it is not the usual one."""
    shown = [column for column in _COLUMNS if any(not math.isnan(_value(run, column)) for run in runs)]
    usual = all(run.summary["image_size"] == _USUAL_SIDE for run in runs)
    return [column for column in shown if not (usual and column.key == "image_size")]


def cells(run: ReportedRun, columns: Sequence[Column]) -> list[Cell]:
    """Return a run's numbers."""
    return [_cell(run, column) for column in columns]


def write_number(value: float, digits: int) -> str:
    """Write a number; nothing for an undefined one."""
    if math.isnan(value):
        return ""
    return "∞" if math.isinf(value) else f"{value:,.{digits}f}"


def _value(run: ReportedRun, column: Column) -> float:
    value = run.summary["mean"].get(column.key, run.summary.get(column.key))
    return math.nan if value is None else float(value) * column.factor


def _cell(run: ReportedRun, column: Column) -> Cell:
    value = _value(run, column)
    text = write_number(value, column.digits)
    half = run.summary["ci95"].get(column.key) if column.has_interval else None
    if half is not None and text != "∞":
        text += f" ±{half:.{column.digits}f}"
    figure = run.paper.get(column.paper)
    paper = "" if figure is None else "∞" if math.isinf(figure) else f"{figure:g}"
    return Cell(text, sortable(value), paper)


def sortable(value: float) -> str:
    """Write a number in plain decimals; undefined ones come first and infinite ones last."""
    if not math.isfinite(value):
        return "-1000000000000" if math.isnan(value) or value < 0 else "1000000000000"
    return f"{value:.9f}"
