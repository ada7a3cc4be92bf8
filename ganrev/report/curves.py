"""Bytes against each measure, as SVG that takes the page's colours."""

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter
from omegaconf import OmegaConf

from ganrev.report.reported import MEASURES, ReportedRun

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


def draw_curves(runs: Sequence[ReportedRun]) -> list[str]:
    """Return one SVG for each measure that some run has, without those of bytes.

    Runs of a codec that differ in one option are joined. A lossless run has no PSNR to draw.
    """
    curves = group_curves(runs)
    shown = [key for key in MEASURES if key != "num_bytes" and any(_points(curve, key) for curve in curves)]
    with mpl.rc_context(_STYLE):
        return [_to_svg(_draw(curves, measure), measure) for measure in shown]


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


def _draw(curves: Sequence[Sequence[ReportedRun]], measure: str) -> Figure:
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    ax = figure.subplots()
    sizes = []
    for number, curve in enumerate(curves):
        points = _points(curve, measure)
        if not points:
            continue
        sizes += [size for size, _, _ in points]
        label = curve[0].label if len(curve) == 1 else curve[0].kind
        ax.errorbar(
            [size for size, _, _ in points],
            [mean for _, mean, _ in points],
            yerr=[half for _, _, half in points],
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=5,
            linewidth=1.2,
            elinewidth=0.7,
            capsize=2,
            label=label,
        )
    _label(ax, measure, sizes)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _label(ax: Axes, measure: str, sizes: Sequence[float]) -> None:
    name, unit, _, more_is_better = MEASURES[measure]
    ax.set_ylabel(f"{name}{f', {unit}' if unit else ''}{'' if more_is_better else ' (lower is better)'}")
    ax.set_xlabel("bytes, whole file")
    ax.grid(alpha=0.25, linewidth=0.5)
    if sizes and max(sizes) > 10 * min(sizes):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())


def _to_svg(figure: Figure, name: str) -> str:
    """Return the SVG element alone, its ids apart from those of other figures, its text in the page's colour."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for mark in ('id="', 'href="#', "url(#"):
        text = text.replace(mark, f"{mark}{name}-")
    label = f"Bytes against {MEASURES[name][0]}, a line or point for each run of the table"
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
