"""`ganrev figures`: draw the paper's Figures 1 to 3 from stored runs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from experiments import composition
from experiments.drawing import pictures as drawing
from experiments.drawing.style import Origin, origin_of, save
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import load_pictures
from ganrev.pixels import to_images, to_png


def _name_at(run: RunFolder, picture: int) -> str:
    """Return the name of the picture at a place among a run's rows."""
    names = run.rows["name"].tolist()
    if not 0 <= picture < len(names):
        raise ValueError(
            f"picture {picture} is not among the {len(names)} pictures of {run}: give one from 0 to "
            f"{len(names) - 1}, or take more by data.limit={max(picture, 0) + 1}"
        )
    return names[picture]


def panel_of(label: str, run: RunFolder, name: str) -> drawing.Panel:
    """Return a stored run's decoded picture with its file's size and scores.

    Raises:
        ValueError: the run has no such picture.
    """
    rows = run.rows.set_index("name")
    if name not in rows.index:
        raise ValueError(f"{run} ({label}) has no picture {name}, it may have failed; choose another one by --picture")
    line = rows.loc[name]
    return drawing.Panel(label, run.decoded(name), int(line["num_bytes"]), line["psnr"], line["ssim"])


def comparison(experiment: dict[str, Any], user: Sequence[str], picture: int) -> list[drawing.Panel]:
    """Run what is missing and return the panels of Figure 2 or 3."""
    panels = experiment["panels"]
    labels = [panel["label"] for panel in panels]
    rows = [(f"{experiment['file']}: {panel['label']}", panel["overrides"]) for panel in panels]
    runs = composition.run_all(rows, user)
    name = _name_at(runs[0], picture)
    return [panel_of(label, run, name) for label, run in zip(labels, runs, strict=True)]


def reversal(experiment: dict[str, Any], user: Sequence[str], picture: int) -> drawing.ReversalUnderWay:
    """Run what is missing and return what Figure 1 shows.

    Raises:
        ValueError: the run leaves no trace, since its codec is not GAN reversal.
    """
    overrides = experiment["overrides"]
    (run,) = composition.run_all([(f"{experiment['file']}: reversal under way", overrides)], user)
    traces = run.traces
    if not traces:
        raise ValueError(f"{run} has left no trace: Figure 1 shows GAN reversal, and needs codec=gan")
    cfg = composition.compose_row(overrides, user)
    name = _name_at(run, picture)
    pictures = load_pictures(cfg, run.summary["image_size"])
    original = pictures.images[pictures.names.index(name)]
    chosen = int(traces["chosen"][picture])
    all_steps = traces["snapshot_steps"]
    kept = np.unique(np.linspace(0, len(all_steps) - 1, experiment["num_steps"]).round().astype(int))
    steps = all_steps[kept].tolist()
    latents = torch.from_numpy(traces["snapshots"][picture, chosen, kept])
    losses = traces["losses"][picture]
    drawn = draw_latents(cfg, latents)
    under_way = [_compared(f"step {step}", original, image) for step, image in zip(steps, drawn, strict=True)]
    decoded = panel_of("decoded file", run, name)
    loss_name = str(cfg.loss["_target_"]).rsplit(".", 1)[-1]
    start = drawing.Panel("original, PNG", original, len(to_png(original)), math.inf, 1.0)
    return drawing.ReversalUnderWay(start, steps, under_way, decoded, losses, chosen, loss_name)


@torch.no_grad()
def draw_latents(cfg: DictConfig, z: Tensor) -> Tensor:
    """Draw latents [N, D] by a config's generator, as uint8 [N, 3, S, S]."""
    generator = instantiate(cfg.generator).freeze()
    return torch.cat([to_images(generator(part)) for part in z.split(8)])


def _compared(label: str, original: Tensor, image: Tensor) -> drawing.Panel:
    scores = distortion(original, image)
    return drawing.Panel(label, image, None, scores["psnr"], scores["ssim"])


def check_experiment(experiment: dict[str, Any]) -> None:
    """Raise ValueError where the YAML does not have the keys that the figures need."""
    if not isinstance(experiment["picture"], int):
        raise ValueError(f"picture: expected its place among the pictures, from 0, got {experiment['picture']!r}")
    wanted = [("reversal", experiment["reversal"], {"file", "overrides", "num_steps"})]
    for number, one in enumerate(experiment["comparisons"]):
        wanted.append((f"comparisons[{number}]", one, {"file", "panels"}))
        panels = one.get("panels", []) if isinstance(one, dict) else []
        wanted += [(f"comparisons[{number}].panels[{i}]", p, {"label", "overrides"}) for i, p in enumerate(panels)]
    for where, content, keys in wanted:
        if not isinstance(content, dict) or set(content) != keys:
            raise ValueError(f"{where}: expected the keys {', '.join(sorted(keys))}, got {content}")
        if "overrides" in keys:
            composition.check_overrides(content["overrides"], where)


def draw_all(experiment: dict[str, Any], user: Sequence[str], picture: int, folder: Path, origin: Origin) -> list[Path]:
    """Draw every figure of an experiment, as PNG and PDF; returns the files."""
    check_experiment(experiment)
    under_way = reversal(experiment["reversal"], user, picture)
    files = save(drawing.draw_reversal(under_way), folder, experiment["reversal"]["file"], origin)
    for one in experiment["comparisons"]:
        panels = comparison(one, user, picture)
        files += save(drawing.draw_comparison(panels), folder, one["file"], origin)
    return files


def make_figures(name: str, overrides: Sequence[str], results: Path, picture: int | None = None) -> None:
    """Draw the figures of a YAML file to the folder `results`; `picture` takes the place of the file's own."""
    experiment = composition.load_experiment(name, "picture", "reversal", "comparisons")
    chosen = experiment["picture"] if picture is None else picture
    origin = origin_of(f"ganrev figures {' '.join([name, *overrides])} --picture {chosen}")
    files = draw_all(experiment, overrides, chosen, results, origin)
    print("\n" + "\n".join(map(str, files)))
