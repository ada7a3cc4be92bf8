"""A training's folder: its checkpoints and its log."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ganrev.files import open_whole, write_whole

_STAGES = ("z", "grid")
_FIELDS = ["stage", "step", "seconds", "mse", "ssim", "perceptual", "adversary", "samples", "discriminator"]
_FIELDS += ["proposed", "found", "grid_bytes", "valid_ssim", "valid_psnr", "valid_bytes"]


def store(content: object, path: Path) -> None:
    """Write a file for torch.load; it never exists half-written."""
    with open_whole(path) as file:
        torch.save(content, file)


def log_row(path: Path, stage: str, row: dict[str, float]) -> None:
    """Add a row to the CSV file of a training, and remove rows of the same or a later step, written before a kill.

    Args:
        path: of the file.
        stage: `z` or `grid`, which comes after it.
        row: values by column, `step` among them; what a stage does not have stays empty.
    """
    now = _place(stage, row["step"])
    row_of = {"stage": stage} | {key: round(value, 5) for key, value in row.items()}
    add_row(path, _FIELDS, row_of, lambda old: _place(old["stage"], old["step"]) < now)


def add_row(
    path: Path, fields: Sequence[str], row: Mapping[str, object], is_earlier: Callable[[dict[str, str]], bool]
) -> None:
    """Add a row to a CSV file, and remove rows that are not earlier: a killed training wrote them."""
    rows = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [old for old in csv.DictReader(file) if is_earlier(old)]
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows([*rows, row])
    write_whole(path, text.getvalue().encode())


def restore(training: object, state: dict[str, Any]) -> None:
    """Set step and seconds of a training, and load the state of each of its parts by name, as its `state` returned."""
    for name, value in state.items():
        if name in ("step", "seconds"):
            setattr(training, name, value)
        else:
            getattr(training, name).load_state_dict(value)


def _place(stage: str, step: float | str) -> tuple[int, int]:
    return _STAGES.index(stage), int(step)


def check_finite(terms: dict[str, float], step: int) -> None:
    """Raise ValueError where a loss is not finite any more."""
    if not all(map(math.isfinite, terms.values())):
        raise ValueError(
            f"the losses are no longer finite at step {step}: {terms}. The checkpoint before is kept; begin again with "
            "a lower rate, in another train.out"
        )
