"""The figure of the benchmark."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from experiments.drawing.style import PAGE, STYLE

_NUM_OPERATORS = 8
_COLOURS = {"ganrev": "C0", "plain": "0.45"}
_LOWEST = 0.05  # SSIM below the plain loop's last, which is where curves begin


def draw_bench(frame: pd.DataFrame, curves: pd.DataFrame, operators: pd.DataFrame, path: Path) -> None:
    """Draw what grows with the lanes, SSIM over seconds, and the operators with the largest shares."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 4.6), layout="constrained")
        top, bottom = figure.subfigures(2, 1, squeeze=False)[:, 0]
        panels = (
            ("milliseconds_per_lane_step", "ms per lane-step"),
            ("decode", "decode, ms per image"),
            ("working_memory", "memory at work, MiB"),
        )
        for ax, (measure, label) in zip(top.subplots(1, 3), panels, strict=True):
            _draw_growth(ax, frame[frame["measure"] == measure], label)
        left, right = bottom.subplots(1, 2)
        _draw_race(left, curves)
        _draw_operators(right, operators)
        figure.savefig(path, dpi=200)


def _draw_growth(ax: Axes, rows: pd.DataFrame, label: str) -> None:
    ours = rows[rows["variant"] == "ganrev"].sort_values("lanes")
    reach = (ours["median"] - ours["lowest"], ours["highest"] - ours["median"])
    ax.errorbar(ours["lanes"], ours["median"], reach, fmt="o-", ms=2.5, lw=1, capsize=1.5, color=_COLOURS["ganrev"])
    for _, row in rows[rows["variant"] == "plain"].iterrows():
        ax.axhline(row["median"], linestyle="--", linewidth=0.8, color=_COLOURS["plain"])
        ax.annotate(
            "plain loop",
            (0.02, row["median"]),  # at the left: few lanes need little
            (0, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=_COLOURS["plain"],
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(ours["lanes"].tolist())
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set_xlabel("images in a batch" if (rows["measure"] == "decode").all() else "lanes")
    ax.set_ylabel(label)


def _draw_race(ax: Axes, curves: pd.DataFrame) -> None:
    for number, (variant, rows) in enumerate(curves.groupby("variant", sort=False)):
        shown = rows.iloc[1:]  # the first has no time
        colour = _COLOURS.get(variant, f"C{number}")
        ax.plot("seconds_per_image", "ssim", data=shown, linewidth=1, color=colour, label=variant)
    last = curves.loc[curves["variant"] == "plain", "ssim"].iloc[-1]
    ax.axhline(last, linestyle=":", linewidth=0.8, color=_COLOURS["plain"])
    ax.set_xscale("log")
    ax.set_ylim(last - _LOWEST, last + 0.1 * _LOWEST)
    ax.set_xlabel("seconds per image")
    ax.set_ylabel("SSIM, mean")
    # Left of all curves and below the dotted line, where it hides nothing on any machine.
    ax.legend(frameon=False, fontsize="small", handlelength=1, loc="upper left", bbox_to_anchor=(0, 0.9))


def _draw_operators(ax: Axes, operators: pd.DataFrame) -> None:
    shown = operators.head(_NUM_OPERATORS).iloc[::-1]
    ax.barh(shown["operator"], 100 * shown["share"], color=_COLOURS["ganrev"], height=0.7)
    ax.set_xlabel("% of the time of a step, by operator")
