"""Bytes against each measure: means with bands, floors marked."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

from experiments.drawing.style import COLUMN, PAGE, STYLE, line_style
from experiments.measured import Measure
from ganrev.evaluation.metrics import interval_within

_COLUMNS = 4
_TICKS = (30, 60, 120, 250, 500, 1000, 2000, 4000, 8000)
_FEW_TICKS = (20, 60, 200, 600, 2000, 6000)


def draw_curves(frame: pd.DataFrame, measures: Sequence[Measure]) -> Figure:
    """Draw one panel per measure, one line for each value of the column `curve`, and a legend in a panel of its own.

    Points that some picture has no file for are left out. A floor is a hollow marker on the axis of bytes.

    Args:
        frame: points, by the columns of `experiments.curves.measure`.
        measures: at least one.
    """
    num_rows = -(-(len(measures) + 1) // _COLUMNS)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 1.95 * num_rows + 0.1), layout="constrained")
        axes = figure.subplots(num_rows, min(_COLUMNS, len(measures) + 1), squeeze=False).ravel()
        for ax, one in zip(axes, measures, strict=False):
            for number, (_, curve) in enumerate(frame.groupby("curve", sort=False)):
                draw_curve(ax, curve, one.key, number)
            label_bytes(ax, frame, _FEW_TICKS)
            ax.set_ylabel(one.axis)
        draw_legend(axes[len(measures)], frame)
        for ax in axes[len(measures) + 1 :]:
            ax.set_axis_off()
    return figure


def draw_column(frame: pd.DataFrame, measures: Sequence[Measure]) -> Figure:
    """Draw the same in one column of a page: a panel per measure, one below the other, the legend above them."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 2.0 * len(measures) + 0.8), layout="constrained")
        axes = figure.subplots(len(measures), 1, sharex=True, squeeze=False).ravel()
        for ax, one in zip(axes, measures, strict=True):
            for number, (_, curve) in enumerate(frame.groupby("curve", sort=False)):
                draw_curve(ax, curve, one.key, number)
            label_bytes(ax, frame, _TICKS)
            ax.set_ylabel(one.axis)
            ax.label_outer()
        figure.legend(handles=_handles(frame), loc="outside upper center", ncols=3)
    return figure


def draw_curve(ax: Axes, curve: pd.DataFrame, key: str, number: int) -> None:
    """Draw the points of one curve with the band of their 95 % intervals, and its floor, in the style of a number."""
    points = curve[(curve["num_without"] == 0) & np.isfinite(curve[key])].sort_values("num_bytes")
    style = line_style(number)
    low, high = interval_within(key, points[key], points[f"{key}_ci95"])
    ax.fill_between(points["num_bytes"], low, high, color=style["color"], alpha=0.13, linewidth=0)
    ax.plot(points["num_bytes"], points[key], label=curve["curve"].iloc[0], **style)
    floor = curve["floor_bytes"].iloc[0]
    if np.isfinite(floor):
        on_axis = {"transform": ax.get_xaxis_transform(), "clip_on": False, "zorder": 5}
        ax.plot([floor], [0], **style | on_axis | {"linestyle": "", "markersize": 4.5, "markerfacecolor": "white"})


def label_bytes(ax: Axes, frame: pd.DataFrame, ticks: Sequence[int]) -> None:
    """Label the axis of bytes, logarithmic and at some ticks where files differ tenfold."""
    ax.set_xlabel("bytes, whole file")
    ax.grid(visible=True)
    sizes = frame.loc[frame["num_without"] == 0, "num_bytes"]
    if sizes.max() > 10 * sizes.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator([t for t in ticks if sizes.min() / 1.2 <= t <= 1.2 * sizes.max()]))
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.minorticks_off()


def draw_legend(ax: Axes, frame: pd.DataFrame) -> None:
    """Name the curves in a panel of their own."""
    ax.set_axis_off()
    ax.legend(handles=_handles(frame), loc="center left", borderaxespad=0)


def _handles(frame: pd.DataFrame) -> list[Line2D]:
    """Return the lines of a legend; a floor's marker is explained where there is one."""
    lines = [Line2D([], [], label=label, **line_style(number)) for number, label in enumerate(frame["curve"].unique())]
    if frame["floor_bytes"].notna().any():
        hollow: dict[str, Any] = {"marker": "o", "linestyle": "", "color": "0.3", "markerfacecolor": "white"}
        lines.append(Line2D([], [], label="on the axis: floor", **hollow))
    return lines
