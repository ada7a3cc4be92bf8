"""Curves compared by Bjontegaard's deltas: bytes at equal quality, quality at equal bytes, on average.

Source: Bjontegaard, VCEG-M33, 2001; by the package `bjontegaard`, Herglotz et al. 2022, with Akima's interpolation.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from experiments.measured import MEASURES
from ganrev.markdown import markdown_table

LEAST_OVERLAP = 0.5  # of the narrower curve's range; on less a mean says too little
_LEAST_POINTS = 4
_METHOD = "akima"
_KEYS = ("psnr", "ssim")


def compare_curves(frame: pd.DataFrame, anchors: Sequence[str]) -> pd.DataFrame:
    """Return a line for each curve against each anchor and measure; anchors that the frame lacks are passed over.

    Args:
        frame: points of curves; those that some picture has no file for are left out.
        anchors: labels of curves.

    Returns:
        Columns: `curve`, `anchor`, `measure`; `bd_rate`, per cent of the anchor's bytes at equal quality, and
        `quality_overlap`, the share of the narrower one's range of qualities that both have; `bd_quality`, the measure
        at equal bytes, and `rate_overlap`, likewise for the logarithm of bytes. A delta is NaN below `LEAST_OVERLAP`.
    """
    curves = {str(label): points for label, points in frame[frame["num_without"] == 0].groupby("curve", sort=False)}
    lines = []
    for anchor in (one for one in anchors if one in curves):
        for label in (one for one in curves if one != anchor):
            for key in (key for key in _KEYS if key in frame):
                delta = _compare(curves[anchor], curves[label], key)
                lines.append({"curve": label, "anchor": anchor, "measure": key} | delta)
    columns = ["curve", "anchor", "measure", "bd_rate", "quality_overlap", "bd_quality", "rate_overlap"]
    return pd.DataFrame(lines, columns=columns)


def _compare(anchor: pd.DataFrame, curve: pd.DataFrame, key: str) -> dict[str, float]:
    from bjontegaard import bd_psnr, bd_rate  # loads pyplot

    sides = [_rising(points, key) for points in (anchor, curve)]
    found = {
        "bd_rate": np.nan,
        "quality_overlap": overlap(*(quality for _, quality in sides)),
        "bd_quality": np.nan,
        "rate_overlap": overlap(*(np.log(rate) for rate, _ in sides)),
    }
    if min(len(rate) for rate, _ in sides) < _LEAST_POINTS:
        return found
    arguments = (*sides[0], *sides[1], _METHOD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if found["quality_overlap"] >= LEAST_OVERLAP:
            found["bd_rate"] = float(bd_rate(*arguments, require_matching_points=False, min_overlap=0))
        if found["rate_overlap"] >= LEAST_OVERLAP:
            found["bd_quality"] = float(bd_psnr(*arguments, require_matching_points=False, min_overlap=0))
    return found


def _rising(points: pd.DataFrame, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return bytes and qualities of the points that cost more than all before them and are better."""
    ordered = points[np.isfinite(points[key])].sort_values("num_bytes")
    kept: list[tuple[float, float]] = []
    for rate, quality in zip(ordered["num_bytes"], ordered[key], strict=True):
        if not kept or (rate > kept[-1][0] and quality > kept[-1][1]):
            kept.append((float(rate), float(quality)))
    return np.array([rate for rate, _ in kept]), np.array([quality for _, quality in kept])


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of the narrower of two ranges of numbers that is in both.

    The package divides by what both cover together; of that, a codec with a floor never has half in common with one
    that goes lower.
    """
    if not len(first) or not len(second):
        return 0.0
    common = min(first.max(), second.max()) - max(first.min(), second.min())
    narrower = min(np.ptp(first), np.ptp(second))
    return float(max(common, 0) / narrower) if narrower > 0 else 0.0


def to_markdown(deltas: pd.DataFrame) -> str:
    """Return the deltas as a table in Markdown; a delta that is refused names the overlap."""
    names = {one.key: (one.name, one.digits) for one in MEASURES}
    rows = []
    for _, line in deltas.iterrows():
        name, digits = names[line["measure"]]
        rate = _cell(line["bd_rate"], line["quality_overlap"], 1, " %")
        quality = _cell(line["bd_quality"], line["rate_overlap"], digits, "")
        rows.append([line["curve"], line["anchor"], name, rate, quality])
    table = markdown_table(("curve", "against", "by", "BD-rate", "BD-quality"), rows)
    return (
        f"{table}\n\nBD-rate: bytes at equal quality, fewer where negative; BD-quality: the measure at equal bytes. "
        "Bjontegaard's deltas with Akima's interpolation, over points that each picture has a file for. In brackets "
        "the share of the narrower curve's range that both have; below a half the delta is refused.\n"
    )


def _cell(value: float, share: float, digits: int, unit: str) -> str:
    """Write a delta with its overlap."""
    if np.isnan(value):
        return f"refused ({100 * share:.0f} %)" if share < LEAST_OVERLAP else "too few points"
    return f"{value:+.{digits}f}{unit} ({100 * share:.0f} %)"
