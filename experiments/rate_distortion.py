"""`ganrev rd`: bytes against PSNR, SSIM and ST-LPIPS, curve beside curve."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments import composition, drawing, rendering
from ganrev.evaluation.metrics import mean_and_interval
from ganrev.evaluation.recode import recode
from ganrev.markdown import markdown_table

MEASURES = ("psnr", "ssim", "stlpips")


@dataclass(frozen=True)
class Curve:
    """One line of the figure.

    Args:
        label: its name.
        points: overrides of each point.
        reversal: overrides of the one run, with quant=none, whose latents serve all points; empty where each point is
            a run of its own.
    """

    label: str
    points: list[list[str]]
    reversal: list[str]


def read_curves(experiment: dict[str, Any]) -> list[Curve]:
    """Return the curves of an experiment's YAML; ValueError where one is not label, points and perhaps reversal."""
    curves = []
    for number, content in enumerate(experiment["curves"], start=1):
        if not isinstance(content, dict) or not {"label", "points"} <= set(content) <= {"label", "points", "reversal"}:
            raise ValueError(f"curve {number}: expected label, points and, optionally, reversal, got {content}")
        where = f"curve {content['label']!r}"
        points = [composition.check_overrides(point, where) for point in content["points"]]
        reversal = composition.check_overrides(content.get("reversal", []), where)
        curves.append(Curve(content["label"], points, reversal))
    return curves


def measure(curve: Curve, user: Sequence[str]) -> pd.DataFrame:
    """Return one line per point: means over pictures and half widths of their 95 % intervals."""
    lines = []
    run = composition.run_one(curve.reversal, user) if curve.reversal else None
    for number, point in enumerate(curve.points, start=1):
        print(f"{curve.label}, point {number} of {len(curve.points)}: {' '.join(point)}", flush=True)
        rows = recode(run, point) if run else composition.run_one(point, user).rows
        line = {"curve": curve.label, "point": " ".join(point), "num_images": len(rows)}
        for key in ("num_bytes", *(key for key in MEASURES if key in rows)):
            line[key], line[f"{key}_ci95"] = mean_and_interval(rows[key].tolist())
        lines.append(line)
    return pd.DataFrame(lines)


def at_sizes(frame: pd.DataFrame, sizes: Sequence[float]) -> pd.DataFrame:
    """Return each curve's means at sizes in bytes, on straight lines between its points; no sizes beyond them."""
    lines = []
    for label, curve in frame.groupby("curve", sort=False):
        curve = curve.sort_values("num_bytes")
        for size in sizes:
            line = {"curve": label, "num_bytes": size}
            for key in (key for key in MEASURES if key in curve):
                line[key] = np.interp(size, curve["num_bytes"], curve[key], left=np.nan, right=np.nan)
            lines.append(line)
    return pd.DataFrame(lines).dropna(subset=["psnr"])


def sizes_to_markdown(frame: pd.DataFrame) -> str:
    """Return the table of `at_sizes` in Markdown."""
    shown = [key for key in MEASURES if key in frame]
    rows = [
        [row["curve"], f"{row['num_bytes']:.0f}", *(_rounded(row, key) for key in shown)] for _, row in frame.iterrows()
    ]
    table = markdown_table(("curve", "bytes", *shown), rows)
    return f"{table}\n\nAt equal sizes, on straight lines between the points above.\n"


def to_markdown(frame: pd.DataFrame, title: str) -> str:
    """Return the table in Markdown."""
    shown = [key for key in MEASURES if key in frame]
    rows = []
    for _, row in frame.iterrows():
        values = [f"{_rounded(row, key)} ±{row[f'{key}_ci95']:.3f}" for key in shown]
        rows.append([row["curve"], str(row["num_images"]), f"{row['num_bytes']:.1f}", *values])
    table = markdown_table(("curve", "n", "bytes", *shown), rows)
    return f"**{title}**\n\n{table}\n\nWhole files; means, ± half the width of the 95 % confidence interval.\n"


def _rounded(row: pd.Series, key: str) -> str:
    return f"{row[key]:.{2 if key == 'psnr' else 3}f}"


def without_faces(curves: Sequence[Curve], user: Sequence[str]) -> tuple[list[Curve], list[str]]:
    """Return the curves that can be measured, and a note on each whose basis must be fitted to faces that nobody gave.

    Raises:
        ValueError: no curve is left.
    """
    kept, notes = [], []
    for curve in curves:
        own = curve.reversal or curve.points[0]
        if composition.lacks_faces(composition.compose_row(own, user)):
            notes.append(f"{curve.label}: {composition.NO_FACES}.")
        else:
            kept.append(curve)
    if not kept:
        raise ValueError("no curve is left: " + " ".join(notes))
    return kept, notes


def make_curves(name: str, overrides: Sequence[str], results: Path) -> None:
    """Measure the curves of a YAML file, print them, and write CSV, Markdown and a figure to the folder `results`."""
    experiment = composition.load_experiment(name, "curves")
    curves = read_curves(experiment)
    runs = [own for curve in curves for own in ([curve.reversal] if curve.reversal else curve.points)]
    composition.compose_all(runs, overrides)
    curves, notes = without_faces(curves, overrides)
    print("\n".join(notes), end="\n" * bool(notes), flush=True)
    frame = pd.concat([measure(curve, overrides) for curve in curves], ignore_index=True)
    text = to_markdown(frame, experiment.get("title", name))
    if sizes := experiment.get("sizes"):
        text += "\n" + sizes_to_markdown(at_sizes(frame, sizes))
    text += "".join(f"\n{note}\n" for note in notes)
    paths = rendering.write_results(frame, results, experiment["name"], {".md": text})
    figure = results / f"{experiment['name']}.png"
    drawing.draw_curves(frame, [key for key in MEASURES if key in frame], figure)
    print("\n" + text + "\n" + "\n".join(map(str, [*paths, figure])))
