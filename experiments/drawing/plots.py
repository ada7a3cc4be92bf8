"""Plots of what many runs have in common: heat map, lines with bands, bytes by level, seeds."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from experiments.drawing.style import COLUMN, STYLE, line_style
from ganrev.evaluation.metrics import interval_within, mean_and_interval

_DARK = 0.55  # of the colour map's way: text on what is below it is white
_GREYS = {"header": "0.15", "z": "0.5", "grid": "0.82"}  # of the levels
_LEVELS = {"header": "header", "z": "z", "grid": "grid beyond z"}


def draw_heat_map(table: pd.DataFrame, label: str, y_label: str, x_label: str) -> Figure:
    """Draw a table of numbers as coloured cells, each with its number.

    Args:
        table: values of an option down, of another across.
        label: of the numbers.
        y_label, x_label: of the options.
    """
    values = table.to_numpy(dtype=float)
    low, high = np.nanmin(values), np.nanmax(values)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 0.9 + 0.32 * len(table)), layout="constrained")
        ax = figure.subplots()
        shown = ax.imshow(values, aspect="auto", vmin=low, vmax=high, origin="lower")
        for (row, column), value in np.ndenumerate(values):
            is_dark = high > low and (value - low) / (high - low) < _DARK
            ax.text(column, row, f"{value:.3f}", ha="center", va="center", color="white" if is_dark else "black")
        ax.set_xticks(range(table.shape[1]), [f"{one:g}" for one in table.columns])
        ax.set_yticks(range(table.shape[0]), [f"{one:g}" for one in table.index])
        ax.set_xlabel(x_label)
        ax.set_ylabel(y_label)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        bar = figure.colorbar(shown, ax=ax, label=label)
        bar.outline.set_visible(False)
    return figure


def draw_lines(frame: pd.DataFrame, x: str, x_label: str, measures: Mapping[str, str]) -> Figure:
    """Draw measures over one option on a logarithmic axis, one below the other, with the bands of their intervals.

    Args:
        frame: a line for each value of the option; of each measure also `<key>_ci95`, half of its interval's width.
        x: the option's column.
        x_label: its name on the axis.
        measures: names of measures on their axes, by their columns.
    """
    ordered = frame.sort_values(x)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 1.5 * len(measures) + 0.3), layout="constrained")
        axes = figure.subplots(len(measures), 1, sharex=True, squeeze=False).ravel()
        for ax, (key, label) in zip(axes, measures.items(), strict=True):
            low, high = interval_within(key, ordered[key], ordered[f"{key}_ci95"])
            ax.fill_between(ordered[x], low, high, color="0.85", linewidth=0)
            ax.plot(ordered[x], ordered[key], **line_style(0))
            ax.set_ylabel(label)
            ax.grid(visible=True)
        axes[-1].set_xlabel(x_label)
        axes[-1].set_xscale("log")
        axes[-1].xaxis.set_major_locator(FixedLocator(ordered[x].tolist()))
        axes[-1].xaxis.set_major_formatter(ScalarFormatter())
        axes[-1].xaxis.set_minor_locator(NullLocator())
        figure.align_ylabels(axes)
    return figure


def draw_levels(frame: pd.DataFrame) -> Figure:
    """Draw the bytes of each level, stacked, over the size of files, below the quality that these reach.

    Args:
        frame: means over pictures, by size: `num_bytes`, `header`, `z`, `grid` in bytes, `ssim`, `psnr`.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 4.0), layout="constrained")
        axes = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 3])
        size, bottom = frame["num_bytes"], axes[-1]
        for ax, key, label in zip(axes, ("ssim", "psnr"), ("SSIM", "PSNR, dB"), strict=False):
            ax.plot(size, frame[key], **line_style(0), clip_on=False)
            ax.set_ylabel(label)
            ax.grid(visible=True)
        stack = [frame[key] for key in _LEVELS]
        bottom.stackplot(size, stack, labels=list(_LEVELS.values()), colors=list(_GREYS.values()), edgecolor="black")
        bottom.set_xlabel("bytes, whole file")
        bottom.set_ylabel("bytes of each level")
        bottom.margins(x=0)
        bottom.set_ylim(bottom=0)
        bottom.legend(loc="upper left", reverse=True)
        figure.align_ylabels(axes)
    return figure


def draw_seeds(frame: pd.DataFrame, measure: str, label: str) -> Figure:
    """Draw each picture's values over seeds, pictures by their means, and beside it each seed's mean over pictures.

    Args:
        frame: a line for each picture, a column for each seed.
        measure: which the values are of, a column of a run's rows.
        label: of the values.
    """
    ordered = frame.loc[frame.mean(axis=1).sort_values().index]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 2.2), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
        places = np.arange(len(ordered))
        left.vlines(places, ordered.min(axis=1), ordered.max(axis=1), color="0.6", linewidth=1.2)
        for number, seed in enumerate(ordered):
            style = line_style(number) | {"linestyle": "", "markersize": 3, "markerfacecolor": "none"}
            left.plot(places, ordered[seed], **style)
            mean, half = mean_and_interval(ordered[seed].tolist())
            low, high = interval_within(measure, mean, half)
            right.errorbar([number], [mean], yerr=[[mean - low], [high - mean]], capsize=2, elinewidth=0.7, **style)
        left.set_ylabel(label)
        left.set_xlabel("picture, by mean")
        left.set_xticks([])
        right.set_xlabel("seed")
        right.set_xticks(range(ordered.shape[1]), list(map(str, ordered)))
        right.set_title("mean and 95 %", pad=3)
        right.margins(x=0.2)
    return figure
