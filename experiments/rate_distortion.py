"""`ganrev rd`: bytes against each measure, curve beside curve."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra.errors import InstantiationException

from experiments import composition, deltas, rendering
from experiments.curves import Curve, measure, read_curves
from experiments.drawing.curves import draw_curves
from experiments.drawing.style import origin_of, save
from experiments.measured import MEASURES, Measure
from experiments.origins import describe_origins
from ganrev.markdown import markdown_table
from ganrev.wording import counted

_KEYS = {"name", "title", "common", "sizes", "at", "anchors", "curves"}


def measure_all(curves: Sequence[Curve], user: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the points of all curves, and a note on each that cannot be measured here.

    Raises:
        ValueError: no curve is left.
    """
    frames, notes = [], []
    for curve in curves:
        if composition.lacks_faces(composition.compose_row(curve.runs[0], user)):
            notes.append(f"{curve.label}: {composition.NO_FACES}.")
            continue
        try:
            frame = measure(curve, user)
        except InstantiationException as error:
            notes.append(f"{curve.label}: {composition.why_unavailable(error)}.")
            continue
        if frame.empty:
            notes.append(f"{curve.label}: left out: no picture has a file of {max(curve.sizes)} bytes or less.")
        else:
            frames.append(frame)
    if not frames:
        raise ValueError("no curve is left: " + " ".join(notes))
    return pd.concat(frames, ignore_index=True), notes


def shown_measures(frame: pd.DataFrame) -> list[Measure]:
    """Return the measures that the points have."""
    return [one for one in MEASURES if one.key in frame and frame[one.key].notna().any()]


def at_sizes(frame: pd.DataFrame, sizes: Sequence[float]) -> pd.DataFrame:
    """Return each curve's means at sizes in bytes, on straight lines between its points; no sizes beyond them."""
    lines, keys = [], [one.key for one in shown_measures(frame)]
    for label, curve in frame[frame["num_without"] == 0].groupby("curve", sort=False):
        curve = curve.sort_values("num_bytes")
        for size in sizes:
            line = {"curve": label, "num_bytes": size}
            for key in keys:
                line[key] = np.interp(size, curve["num_bytes"], curve[key], left=np.nan, right=np.nan)
            lines.append(line)
    return pd.DataFrame(lines, columns=["curve", "num_bytes", *keys]).dropna(how="all", subset=keys)


def sizes_to_markdown(frame: pd.DataFrame) -> str:
    """Return the table of `at_sizes` in Markdown."""
    shown = shown_measures(frame)
    rows = [
        [line["curve"], f"{line['num_bytes']:.0f}", *(_rounded(line, one) for one in shown)]
        for _, line in frame.iterrows()
    ]
    table = markdown_table(("curve", "bytes", *(one.name for one in shown)), rows)
    return f"{table}\n\nAt equal sizes, on straight lines between the points above.\n"


def to_markdown(frame: pd.DataFrame, title: str) -> str:
    """Return the table of points in Markdown."""
    shown = shown_measures(frame)
    has_identity, rows = "identity_share" in frame, []
    by_bytes = [curve.sort_values(["num_bytes", "target_bytes"]) for _, curve in frame.groupby("curve", sort=False)]
    for _, line in pd.concat(by_bytes).iterrows():
        values = [f"{_rounded(line, one)}{_interval(line, one)}" for one in shown]
        asked = "" if pd.isna(line["target_bytes"]) else f"{line['target_bytes']:.0f}"
        same = [_share(line["identity_share"])] if has_identity else []
        rows.append([line["curve"], asked, str(line["num_images"]), f"{line['num_bytes']:.1f}", *values, *same])
    names = [*(one.name for one in shown), *(["same person"] if has_identity else [])]
    table = markdown_table(("curve", "asked for", "n", "bytes", *names), rows)
    return f"**{title}**\n\n{table}\n\nWhole files; means, ± half the width of the 95 % confidence interval.\n"


def _rounded(line: pd.Series, one: Measure) -> str:
    return "" if pd.isna(line[one.key]) else f"{line[one.key]:.{one.digits}f}"


def _share(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.0%}"


def _interval(line: pd.Series, one: Measure) -> str:
    half = line[f"{one.key}_ci95"]
    return "" if pd.isna(half) else f" ±{half:.{one.digits}f}"


def notes_on(frame: pd.DataFrame) -> list[str]:
    """Return what must be known about the points: floors, points that lack pictures, scores of fewer pictures."""
    lines = []
    for label, curve in frame.groupby("curve", sort=False):
        if curve["floor_bytes"].notna().any():
            lines.append(f"{label}: its floor is {curve['floor_bytes'].iloc[0]:.0f} bytes, the mean over pictures.")
        if curve["floor_at_most"].notna().any():
            most = curve["floor_at_most"].iloc[0]
            lines.append(
                f"{label}: its floor is at most {most:.0f} bytes, the mean over pictures: no smaller size was tried."
            )
        lines += [f"{label}: {rises}" for rises in curve["rises"].dropna().unique()]
    if (frame["num_without"] > 0).any():
        lines.append(
            "Points with a smaller n lack pictures that have no file so small: no curve is drawn through them."
        )
    fewer = [one for one in shown_measures(frame) if (frame[f"{one.key}_n"] < frame["num_images"]).any()]
    if fewer:
        num = int(max(frame[f"{one.key}_n"].max() for one in fewer))
        names = ", ".join(one.name for one in fewer)
        lines.append(f"{names}: of the first {counted(num, 'picture')}; score_limit=null takes all.")
    return [*lines, *describe_origins(frame, "curve")]


def _check_keys(experiment: dict[str, Any], labels: Sequence[str], name: str) -> None:
    """Raise ValueError for keys that no curves have, and for anchors that are no curve."""
    if unknown := set(experiment) - _KEYS:
        raise ValueError(f"{name} has {', '.join(sorted(map(str, unknown)))}; curves have {', '.join(sorted(_KEYS))}")
    if unknown := set(experiment.get("anchors", [])) - set(labels):
        raise ValueError(
            f"{name}: anchors {', '.join(sorted(map(str, unknown)))} are no curve; {', '.join(labels)} are"
        )


def make_curves(name: str, overrides: Sequence[str], results: Path) -> None:
    """Measure the curves of a YAML file, print them, and write CSV, Markdown and figures to the folder `results`."""
    experiment = composition.load_experiment(name, "curves")
    curves = read_curves(experiment)
    _check_keys(experiment, [curve.label for curve in curves], name)
    defaults = composition.check_overrides(experiment.get("common", []), name)
    user = composition.with_defaults(defaults, overrides)
    configs = composition.compose_all([own for curve in curves for own in curve.runs], user)
    composition.check_faces(cfg for cfg, _ in configs)
    frame, notes = measure_all(curves, user)
    compared = deltas.compare_curves(frame, experiment.get("anchors", []))
    text = to_markdown(frame, experiment.get("title", name))
    text += "".join(f"\n{note}\n" for note in [*notes_on(frame), *notes])
    if len(between := at_sizes(frame, experiment.get("at", []))):
        text += "\n" + sizes_to_markdown(between)
    if len(compared):
        text += "\n" + deltas.to_markdown(compared)
    stem = experiment["name"]
    paths = rendering.write_results(frame, results, stem, {".md": text})
    paths += rendering.write_results(compared, results, f"{stem}_deltas", {})
    figure = draw_curves(frame, shown_measures(frame))
    paths += save(figure, results, stem, origin_of(f"ganrev rd {' '.join([name, *overrides])}"))
    print("\n" + text + "\n" + "\n".join(map(str, paths)))
