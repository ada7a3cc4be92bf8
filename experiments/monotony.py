"""Does the loss fall where a file may be larger? Of a picture's files of several sizes, each minimises one loss."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

_SINGLE = {"ganrev.reversal.SSIM": {"ssim": 1.0}, "ganrev.reversal.MSE": {"mse": 1.0}}
_BY_COLUMN = {
    "ssim": lambda rows: 1 - rows["ssim"],
    "mse": lambda rows: 4 * 10 ** (-rows["psnr"] / 10),  # of values in [-1, 1], as the loss's
}


def count_rises(points: Sequence[pd.DataFrame], loss: dict[str, Any]) -> str:
    """Compare the files of neighbouring sizes.

    Args:
        points: rows of a run at each size, the largest size first, with `name`, `ssim` and `psnr`.
        loss: its configuration.

    Returns:
        A sentence; empty where the loss is not made of SSIM and MSE, or there is one size alone.
    """
    weights = loss.get("weights") or _SINGLE.get(str(loss.get("_target_")))
    if not weights or set(weights) - set(_BY_COLUMN) or len(points) < 2:
        return ""
    losses = pd.concat([_losses(rows, weights) for rows in points], axis=1, keys=range(len(points)))
    steps = losses.diff(axis=1).iloc[:, 1:]  # from a size to the next smaller one: below zero where that has less loss
    both_mean = [losses[[larger, larger + 1]].dropna().mean() for larger in range(len(points) - 1)]
    rising = sum(bool(mean[larger] > mean[larger + 1]) for larger, mean in enumerate(both_mean))
    names = {"ssim": "(1 - SSIM)", "mse": "MSE"}
    what = " + ".join(names[term] if weight == 1 else f"{weight:g} {names[term]}" for term, weight in weights.items())
    return (
        f"the loss it minimises, {what}, is higher at the larger of two neighbouring sizes in "
        f"{int((steps < 0).sum().sum())} of {int(steps.notna().sum().sum())} pairs of single pictures' files, and in "
        f"{rising} of {len(both_mean)} on average."
    )


def _losses(rows: pd.DataFrame, weights: dict[str, float]) -> pd.Series:
    return sum(weight * _BY_COLUMN[term](rows) for term, weight in weights.items()).set_axis(rows["name"])
