"""Figures that show pictures: codecs side by side, reversals under way, and what fails."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from hydra.utils import instantiate
from matplotlib.figure import Figure
from omegaconf import DictConfig
from torch import Tensor

from experiments.drawing import pictures
from experiments.drawing.pictures import Panel, UnderWay
from experiments.figures.stored import StoredRuns
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import load_pictures
from ganrev.pixels import to_images, to_png
from ganrev.wording import counted


@dataclass(frozen=True)
class Request:
    """What a figure is to show.

    Attributes:
        content: of its entry in the YAML file.
        picture: place of the picture among those of a run, from 0.
    """

    content: dict
    picture: int

    @property
    def command(self) -> str:
        """What makes its runs: a table, or else the one run itself."""
        table = self.content.get("table")
        return f"ganrev table {table}" if table else f"ganrev run {' '.join(self.content['overrides'])}"


class NoPictureError(ValueError):
    """The picture that a figure is to show is not among those of its runs."""


def _check_place(picture: int, own: list[str], stored: StoredRuns) -> None:
    """Raise NoPictureError where runs with some overrides of their own take too few pictures, made or not."""
    limit = stored.config(own).data.limit
    if limit is None or 0 <= picture < limit:
        return
    advice = f", or take more by data.limit={max(picture, 0) + 1}"
    fixed = any(override.startswith("data.limit=") for override in own)  # the user's does not count then
    raise NoPictureError(
        f"picture {picture} is not among the {counted(limit, 'picture')} taken: give one from 0 to {limit - 1}"
        f"{'' if fixed else advice}"
    )


def _name_at(run: RunFolder, picture: int) -> str:
    """Return the name of the picture at a place among a run's rows."""
    names = run.rows["name"].tolist()
    if not 0 <= picture < len(names):
        raise NoPictureError(
            f"picture {picture} is not among the {counted(len(names), 'picture')} of {run}: give one from 0 to "
            f"{len(names) - 1}, or take more by data.limit={max(picture, 0) + 1}"
        )
    return names[picture]


def panel_of(label: str, run: RunFolder, name: str) -> Panel:
    """Return a stored run's decoded picture with its file's size and scores.

    Raises:
        ValueError: the run has no such picture.
    """
    rows = run.rows.set_index("name")
    if name not in rows.index:
        raise ValueError(f"{run} ({label}) has no picture {name}, it may have failed; choose another one by --picture")
    line = rows.loc[name]
    return Panel(label, run.decoded(name), int(line["num_bytes"]), line["psnr"], line["ssim"])


def comparison(request: Request, stored: StoredRuns) -> Figure:
    """Draw one picture in several codecs: the paper's Figures 2 and 3."""
    return pictures.draw_comparison(comparison_panels(request, stored))


def comparison_panels(request: Request, stored: StoredRuns) -> list[Panel]:
    """Return the panels of a comparison; the first must be lossless, since it shows the original."""
    panels = request.content["panels"]
    _check_place(request.picture, panels[0]["overrides"], stored)
    runs = [stored.find(panel["overrides"], request.command) for panel in panels]
    name = _name_at(runs[0], request.picture)
    return [panel_of(panel["label"], run, name) for panel, run in zip(panels, runs, strict=True)]


def reversal(request: Request, stored: StoredRuns) -> Figure:
    """Draw the restarts of a reversal under way: the paper's Figure 1, and how restarts converge."""
    return pictures.draw_reversal(reversal_under_way(request, stored))


def reversal_under_way(request: Request, stored: StoredRuns) -> UnderWay:
    """Return what a figure of a reversal shows: of the kept restart, or of all where `all_restarts` says so.

    Raises:
        ValueError: the run leaves no trace, since its codec is not GAN reversal.
    """
    _check_place(request.picture, request.content["overrides"], stored)
    run = stored.find(request.content["overrides"], request.command)
    traces = run.traces
    if not traces:
        raise ValueError(f"{run} has left no trace: this figure shows GAN reversal, and needs codec=gan")
    name = _name_at(run, request.picture)
    original = _original(run, name)
    place = run.rows["name"].tolist().index(name)
    chosen, losses = int(traces["chosen"][place]), traces["losses"][place]
    shown = list(range(len(losses))) if request.content.get("all_restarts") else [chosen]
    all_steps = traces["snapshot_steps"]
    kept = np.unique(np.linspace(0, len(all_steps) - 1, request.content["num_steps"]).round().astype(int))
    latents = torch.from_numpy(traces["snapshots"][place][shown][:, kept])
    drawn = draw_latents(run.config, latents.flatten(0, 1)).unflatten(0, latents.shape[:2])
    steps = all_steps[kept].tolist()
    under_way = {
        restart: [_compared(f"step {step}", original, image) for step, image in zip(steps, images, strict=True)]
        for restart, images in zip(shown, drawn, strict=True)
    }
    return UnderWay(
        original=Panel("original, PNG", original, len(to_png(original)), math.inf, 1.0),
        steps=steps,
        under_way=under_way,
        decoded=panel_of("decoded file", run, name),
        losses=losses,
        chosen=chosen,
        loss_name=str(run.config.codec.loss["_target_"]).rsplit(".", 1)[-1],
    )


def _original(run: RunFolder, name: str) -> Tensor:
    """Return the original of a run's picture, uint8 [3, H, W]."""
    found = load_pictures(run.config, run.summary["image_size"])
    return found.images[found.names.index(name)]


@torch.no_grad()
def draw_latents(cfg: DictConfig, z: Tensor) -> Tensor:
    """Draw latents [N, D] by the generator of a run's config, as uint8 [N, 3, S, S]."""
    generator = instantiate(cfg.codec.generator).freeze()
    return torch.cat([to_images(generator(part)) for part in z.split(8)])


def _compared(label: str, original: Tensor, image: Tensor) -> Panel:
    scores = distortion(original, image)
    return Panel(label, image, None, scores["psnr"], scores["ssim"])


def failures(request: Request, stored: StoredRuns) -> Figure:
    """Draw the pictures of a run with the lowest SSIM, below their originals."""
    run = stored.find(request.content["overrides"], request.command)
    worst = run.rows.sort_values("ssim", kind="stable").head(request.content["num_pictures"])
    found = load_pictures(run.config, run.summary["image_size"])
    originals = dict(zip(found.names, found.images, strict=True))
    pairs = [(Panel(name, originals[name]), panel_of("", run, name)) for name in worst["name"]]
    return pictures.draw_failures(pairs)
