"""Bytes against each measure, as SVG that takes the page's colours."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter
from omegaconf import OmegaConf

from ganrev.evaluation.metrics import interval_within
from ganrev.report.reported import MEASURES, ReportedRun

# Measures of a table of curves that runs are not compared by: name, unit, digits, and whether more of it is better.
_OTHERS = {
    "ms_ssim": ("MS-SSIM", "", 3, True),
    "ssimulacra2": ("SSIMULACRA2", "", 1, True),
    "delta_e": ("ΔE2000", "", 2, False),
    "identity": ("identity", "", 3, False),
}
_POINTS: dict[str, Any] = {"markersize": 5, "linewidth": 1.2, "elinewidth": 0.7, "capsize": 2}
_INK = "#010203"  # stands for the page's text colour
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7b5ea7", "#808080")  # Okabe and Ito's
_MARKERS = "osD^vP*X"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ganrev",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "legend.frameon": False,
} | dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK)


@dataclass(frozen=True)
class Line:
    """One line of the drawings.

    Attributes:
        label: its name.
        points: of each measure mean bytes, mean and half width of the interval, by bytes.
        floor_bytes: below which there is no file; None where it has none.
    """

    label: str
    points: dict[str, list[tuple[float, float, float]]]
    floor_bytes: float | None = None


def draw_curves(runs: Sequence[ReportedRun]) -> list[str]:
    """Return one SVG for each measure that some run has, without those of bytes.

    Runs of a codec that differ in one option are joined. A lossless run has no PSNR to draw.
    """
    lines = [
        Line(
            curve[0].label if len(curve) == 1 else curve[0].kind,
            {key: _points(curve, key) for key in MEASURES if key != "num_bytes"},
        )
        for curve in group_curves(runs)
    ]
    return _draw_lines(lines, {key: _axis_label(key) for key in MEASURES if key != "num_bytes"}, "runs")


def draw_table(path: Path) -> list[str]:
    """Return one SVG for each measure of the curves that `ganrev rd` has left as a CSV.

    Raises:
        ValueError: the file is no such table.
    """
    try:
        frame = pd.read_csv(path, dtype={"curve": str}, keep_default_na=False, na_values=[""])  # a curve may be NA
        whole = frame[frame["num_without"] == 0].sort_values("num_bytes")
        keys = [key for key in (*MEASURES, *_OTHERS) if key in frame and key != "num_bytes"]
        curves = {str(label): whole[whole["curve"] == label] for label in frame["curve"].unique()}
        lines = [_line_of(label, curve, keys) for label, curve in curves.items()]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is no table of curves as ganrev rd leaves it ({error})") from error
    return _draw_lines(lines, {key: _axis_label(key) for key in keys}, "rd")


def _line_of(label: str, curve: pd.DataFrame, keys: Sequence[str]) -> Line:
    points = {}
    for key in keys:
        columns = curve[["num_bytes", key, f"{key}_ci95"]].astype(float)
        known = columns[np.isfinite(columns[key])].fillna(0.0)
        points[key] = list(known.itertuples(index=False, name=None))
    floors = curve["floor_bytes"].dropna()
    return Line(label, points, float(floors.iloc[0]) if len(floors) else None)


def _axis_label(measure: str) -> str:
    name, unit, _, more_is_better = MEASURES[measure] if measure in MEASURES else _OTHERS[measure]
    return f"{name}{f', {unit}' if unit else ''}{'' if more_is_better else ' (lower is better)'}"


def _draw_lines(lines: Sequence[Line], labels: Mapping[str, str], prefix: str) -> list[str]:
    shown = [key for key in labels if any(line.points.get(key) for line in lines)]
    with mpl.rc_context(_STYLE):
        return [_to_svg(_draw(lines, key, labels[key]), f"{prefix}-{key}", labels[key]) for key in shown]


def group_curves(runs: Sequence[ReportedRun]) -> list[list[ReportedRun]]:
    """Put runs of a codec that differ in one option together: the option that leaves the fewest curves."""
    curves: list[list[ReportedRun]] = []
    for kind in dict.fromkeys(run.kind for run in runs):
        flat = [(run, _flat(OmegaConf.to_container(run.folder.config.codec, resolve=True))) for run in runs]
        own = [(run, options) for run, options in flat if run.kind == kind]
        keys = dict.fromkeys(key for _, options in own for key in options)
        varied = [key for key in keys if len({options.get(key) for _, options in own}) > 1]
        groupings = [_group(own, key) for key in varied] or [_group(own, "")]
        curves += sorted(groupings, key=len)[0]
    return curves


def _group(own: Sequence[tuple[ReportedRun, dict[str, str]]], left_out: str) -> list[list[ReportedRun]]:
    """Group runs whose options are equal but for one."""
    groups: dict[tuple, list[ReportedRun]] = {}
    for run, options in own:
        rest = tuple(sorted((key, value) for key, value in options.items() if key != left_out))
        groups.setdefault((rest, run.pictures_digest), []).append(run)
    return list(groups.values())


def _flat(content: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(content, dict):
        return {prefix: str(content)}
    return {key: value for name, inner in content.items() for key, value in _flat(inner, f"{prefix}.{name}").items()}


def _points(curve: Sequence[ReportedRun], measure: str) -> list[tuple[float, float, float]]:
    """Return mean bytes, mean and half width of the interval of each run with a finite score, by bytes."""
    points = []
    for run in curve:
        mean, half = (run.summary[key].get(measure) for key in ("mean", "ci95"))
        if mean is not None and math.isfinite(float(mean)):
            points.append((float(run.summary["mean"]["num_bytes"]), float(mean), float(half or 0)))
    return sorted(points)


def _draw(lines: Sequence[Line], measure: str, label: str) -> Figure:
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    ax = figure.subplots()
    sizes = []
    for number, line in enumerate(lines):
        points = line.points.get(measure)
        if not points:
            continue
        turn, place = divmod(number, len(_COLOURS))
        style: dict[str, Any] = {"color": _COLOURS[place], "marker": _MARKERS[(place + turn) % len(_MARKERS)]}
        sizes += [size for size, _, _ in points]
        places, means, halves = zip(*points, strict=True)
        low, high = interval_within(measure, means, halves)
        ax.errorbar(places, means, yerr=[means - low, high - means], **_POINTS, **style, label=line.label)
        if line.floor_bytes is not None:
            on_axis: dict[str, Any] = {
                "transform": ax.get_xaxis_transform(),
                "clip_on": False,
                "markerfacecolor": "none",
            }
            ax.plot([line.floor_bytes], [0], **style, **on_axis)
    ax.set_ylabel(label)
    _label_bytes(ax, sizes)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _label_bytes(ax: Axes, sizes: Sequence[float]) -> None:
    ax.set_xlabel("bytes, whole file")
    ax.grid(alpha=0.25, linewidth=0.5)
    if sizes and max(sizes) < 1.25 * min(sizes):  # files of equal size stand close together
        ax.set_xlim(0.8 * min(sizes), 1.25 * max(sizes))
    if sizes and max(sizes) > 10 * min(sizes):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())


def _to_svg(figure: Figure, name: str, label: str) -> str:
    """Return the SVG element alone, its ids apart from those of other figures, its text in the page's colour."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for mark in ('id="', 'href="#', "url(#"):
        text = text.replace(mark, f"{mark}{name}-")
    described = f"Bytes against {label.split(',')[0].split(' (')[0]}, a line or point for each codec"
    return text.replace("<svg ", f'<svg role="img" aria-label="{described}" ', 1)
