"""Figures that plot numbers of many runs."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from hydra.utils import instantiate
from matplotlib.figure import Figure

from experiments.drawing import plots
from experiments.drawing.curves import draw_column
from experiments.figures.pictures import Request
from experiments.figures.stored import MissingRunError, StoredRuns
from experiments.measured import MEASURES
from ganrev.codecs import LatentCodec
from ganrev.coding.level_bytes import level_bytes
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.trust import check_targets

_AXES = {one.key: one.axis for one in MEASURES} | {"num_bytes": "bytes, whole file"}


def curve(request: Request, stored: StoredRuns) -> Figure:
    """Draw the curves that `ganrev rd` has left as a table."""
    path = Path(request.content["tables"]) / f"{request.content['points']}.csv"
    if not path.is_file():
        raise MissingRunError(f"there is no {path}", stored.with_user("ganrev rd"))
    frame = pd.read_csv(path, dtype={"curve": str}, keep_default_na=False, na_values=[""])  # a curve may be NA
    return draw_column(frame, [one for one in MEASURES if one.key in request.content["measures"] and one.key in frame])


def heat_map(request: Request, stored: StoredRuns) -> Figure:
    """Draw a measure over two options of a sweep."""
    content = request.content
    lines = _means(request, stored, lambda run: {content["measure"]: run.summary["mean"][content["measure"]]})
    table = lines.pivot_table(index=content["y"], columns=content["x"], values=content["measure"])
    return plots.draw_heat_map(table, _AXES[content["measure"]], content["y_label"], content["x_label"])


def lines(request: Request, stored: StoredRuns) -> Figure:
    """Draw measures against one option of a sweep, with 95 % intervals."""
    keys = request.content["measures"]

    def of_run(run: RunFolder) -> dict[str, float]:
        summary = run.summary
        return {key: summary["mean"][key] for key in keys} | {f"{key}_ci95": summary["ci95"][key] for key in keys}

    frame = _means(request, stored, of_run)
    return plots.draw_lines(frame, request.content["x"], request.content["x_label"], {k: _AXES[k] for k in keys})


def levels(request: Request, stored: StoredRuns) -> Figure:
    """Draw, over the size of files, how many of their bytes each level takes, and what quality they reach."""

    def of_run(run: RunFolder) -> dict[str, float]:
        rows = run.rows
        check_targets(run.config)
        codec = instantiate(run.config.codec)
        if not isinstance(codec, LatentCodec):
            raise ValueError(f"{run} has no files of latents, whose levels could be told apart")
        parts = pd.DataFrame([level_bytes(codec.coder, run.blob(name)) for name in rows["name"]])
        return parts.mean().to_dict() | {key: rows[key].mean() for key in ("num_bytes", "ssim", "psnr")}

    return plots.draw_levels(_means(request, stored, of_run).sort_values("num_bytes"))


def seeds(request: Request, stored: StoredRuns) -> Figure:
    """Draw how far a measure of each picture, and its mean over pictures, moves with the seed."""
    key, jobs = request.content["measure"], stored.find_sweep(request.content["sweep"])
    frame = pd.DataFrame({values["seed"]: run.rows.set_index("name")[key] for values, run in jobs})
    return plots.draw_seeds(frame, key, _AXES[key])


def _means(request: Request, stored: StoredRuns, of_run: Callable[[RunFolder], dict[str, float]]) -> pd.DataFrame:
    """Return a line for each job of a sweep: its values, and what a function says of its run."""
    frame = pd.DataFrame([values | of_run(run) for values, run in stored.find_sweep(request.content["sweep"])])
    for key in (key for key in (request.content.get("x"), request.content.get("y")) if key):
        frame[key] = pd.to_numeric(frame[key])
    return frame
