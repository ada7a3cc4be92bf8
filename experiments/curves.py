"""Curves of rate and distortion: what they are made of, and how each of their points is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from experiments import composition
from experiments.measured import MEASURES
from experiments.monotony import count_rises
from experiments.origins import origin_columns
from experiments.shared_curve import SharedCurve
from ganrev.configuration.configs import to_dict
from ganrev.configuration.options import check_option
from ganrev.evaluation.identity import summarise_identities
from ganrev.evaluation.metrics import mean_and_interval
from ganrev.evaluation.recode import recode
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import NothingEncodedError, run

_BY_SIZE, _BY_POINTS = {"label", "overrides"}, {"label", "points"}


@dataclass(frozen=True)
class Curve:
    """One line of the figure.

    Args:
        label: its name.
        points: overrides of each point.
        reversal: overrides of the one run, with quant=none, whose latents serve all points; empty where each point is
            a run of its own.
        at_once: whether the codec makes a picture's files of all sizes at once, each from its neighbour's.
        sizes: in bytes, that each point's files must not exceed, from the largest; empty where a point sets its own
            rate.
    """

    label: str
    points: list[list[str]]
    reversal: list[str]
    sizes: list[int]
    at_once: bool = False

    @property
    def runs(self) -> list[list[str]]:
        """Overrides of each run that it needs."""
        return [self.reversal] if self.reversal else self.points


def read_curves(experiment: dict[str, Any]) -> list[Curve]:
    """Return the curves of an experiment's YAML.

    Raises:
        ValueError: one has neither `overrides`, perhaps with sizes of its own, nor `points`, perhaps of one reversal;
            or two have one label.
    """
    curves = []
    for number, content in enumerate(experiment["curves"], start=1):
        keys = set(content) if isinstance(content, dict) else set()
        if not (_BY_SIZE <= keys <= _BY_SIZE | {"sizes", "at_once"} or _BY_POINTS <= keys <= _BY_POINTS | {"reversal"}):
            raise ValueError(
                f"curve {number}: expected label and either overrides (and, optionally, sizes and at_once) or points "
                f"(and, optionally, reversal), got {content}"
            )
        curves.append(_read_curve(content, experiment.get("sizes", [])))
    labels = [curve.label for curve in curves]
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"expected at least one curve, and a label of its own for each, got {labels}")
    return curves


def _read_curve(content: dict[str, Any], sizes: object) -> Curve:
    where = f"curve {content['label']!r}"
    if "overrides" in content:
        own = composition.check_overrides(content["overrides"], where)
        largest_first = sorted(_check_sizes(content.get("sizes", sizes), where), reverse=True)
        at_once = check_option(bool, f"{where}: at_once", content.get("at_once", False))
        if at_once:
            own = [*own, f"codec.curve=[{','.join(map(str, sorted(largest_first)))}]"]
        points = [[*own, f"codec.target_bytes={size}"] for size in largest_first]
        return Curve(content["label"], points, [], largest_first, at_once)
    points = [composition.check_overrides(point, where) for point in content["points"]]
    return Curve(content["label"], points, composition.check_overrides(content.get("reversal", []), where), [])


def _check_sizes(sizes: object, where: str) -> list[int]:
    if not isinstance(sizes, list) or not sizes or not all(type(size) is int and size > 0 for size in sizes):
        raise ValueError(f"{where}: expected `sizes` as a list of bytes such as [120, 250], got {sizes!r}")
    return sizes


def measure(curve: Curve, user: Sequence[str]) -> pd.DataFrame:
    """Return one line per point: means over pictures and half widths of their 95 % intervals.

    Of a curve of sizes the largest comes first. Where not one picture has a file so small, none has a smaller one, and
    the curve ends. Where a picture has missed a size, `floor_bytes` is the mean over pictures of the smallest file; if
    only those that missed one told theirs, that is `floor_at_most`, from the others' smallest files here.
    What is made `at_once` minimises one loss: `rises` says in words how often that rises with the size.
    """
    lines: list[dict[str, Any]] = []
    smallest: dict[str, int] = {}
    floors: dict[str, int] = {}
    found_rows: list[pd.DataFrame] = []
    shared = SharedCurve.of(curve.points[0], user) if curve.at_once else None
    for number, point in enumerate(curve.points):
        print(f"{curve.label}, point {number + 1} of {len(curve.points)}: {' '.join(point)}", flush=True)
        rows, failed, origin = _rows_and_failed(curve, number, user, shared)
        floors |= {name: floor for name, why in failed.items() for floor in composition.floors({name: why})}
        if rows is None:
            break
        size = curve.sizes[number] if curve.sizes else None
        line = {"curve": curve.label, "point": " ".join(point), "target_bytes": size, "num_images": len(rows)}
        lines.append(line | {"num_without": len(failed)} | _means(rows) | origin)
        smallest |= dict(zip(rows["name"], rows["num_bytes"], strict=True))
        found_rows.append(rows)
    if shared is not None:
        shared.remove()
    floor = float(np.mean(list((smallest | floors).values()))) if floors else np.nan
    known = smallest.keys() <= floors.keys()
    loss = to_dict(composition.compose_row(curve.points[0], user).loss, resolve=True) if curve.at_once else {}
    return pd.DataFrame(lines).assign(
        floor_bytes=floor if known else np.nan,
        floor_at_most=np.nan if known else floor,
        rises=count_rises(found_rows, loss) or None,
    )


def _rows_and_failed(
    curve: Curve, number: int, user: Sequence[str], shared: SharedCurve | None
) -> tuple[pd.DataFrame | None, dict[str, str], dict[str, object]]:
    """Return a point's rows, None where no picture has a file so small; why pictures have failed; where it was made."""
    point = curve.points[number]
    if curve.reversal:
        reversed_ = composition.run_one(curve.reversal, user)
        return recode(reversed_, point), {}, origin_columns(reversed_.provenance)
    codec = shared.point(curve.sizes[number]) if shared else None
    try:
        found = RunFolder(run(composition.compose_row(point, user), codec=codec))
    except NothingEncodedError as error:
        if len(composition.floors(error.failed)) < len(error.failed):
            raise
        return None, error.failed, {}
    return found.rows, found.summary["images_failed"], origin_columns(found.provenance)


def _means(rows: pd.DataFrame) -> dict[str, float]:
    line: dict[str, float] = {}
    for key in ("num_bytes", *(one.key for one in MEASURES if one.key in rows)):
        values = rows[key].dropna().astype(float).tolist()
        line[key], line[f"{key}_ci95"] = mean_and_interval(values)
        line[f"{key}_n"] = len(values)
    return line | summarise_identities(rows)
