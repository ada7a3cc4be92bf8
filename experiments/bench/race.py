"""How long each descent takes to the SSIM at which the plain loop ends."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments.bench.measures import Clock, Values, crossing, descend, descend_plainly, ratios
from ganrev.codecs.gan import GanCodec
from ganrev.evaluation.metrics import distortion
from ganrev.generator.base import Generator
from ganrev.progress import ProgressBar

_NUM_POINTS = 60  # of the grid of steps at which pictures are scored


@dataclass(frozen=True)
class TimedDescent:
    """One way of descending over N pictures, timed at G steps; pictures are drawn and scored after the clocks stopped.

    Attributes:
        lanes: number of lanes that shared a batch, at most.
        grid: [G], steps.
        rounds: float [R, G], seconds per image in each round, since the start of the picture or of its part.
        seconds: float [N, G], of each picture, the median over rounds.
        ssim: float [N, G], of the uint8 picture that a decoder draws from z, in float32 and without rounding z.
    """

    lanes: int
    grid: list[int]
    rounds: np.ndarray
    seconds: np.ndarray
    ssim: np.ndarray

    def step_to(self, ssim: float) -> float:
        """Return the first step of the grid at which the mean over pictures reaches an SSIM, or infinity."""
        return crossing(self.grid, self.ssim.mean(axis=0), ssim)

    def seconds_to(self, ssim: float) -> list[float]:
        """Return the seconds per image until then, in each round."""
        step = self.step_to(ssim)
        if step == math.inf:
            return [math.inf] * len(self.rounds)
        return self.rounds[:, self.grid.index(int(step))].tolist()

    def seconds_of_each_to(self, ssim: Values) -> list[float]:
        """Return the seconds until each picture reaches an SSIM of its own."""
        steps = [crossing(self.grid, *pair) for pair in zip(self.ssim, ssim, strict=True)]
        return [
            math.inf if step == math.inf else float(seconds[self.grid.index(int(step))])
            for seconds, step in zip(self.seconds, steps, strict=True)
        ]


def ratio_of_each(plain: TimedDescent, ours: TimedDescent) -> list[float]:
    """Return plain over our seconds, each picture to its own last SSIM of the plain loop; 0 for never."""
    targets = plain.ssim[:, -1]
    return ratios(plain.seconds_of_each_to(targets), ours.seconds_of_each_to(targets))


def curves(descents: Mapping[str, TimedDescent]) -> pd.DataFrame:
    """Return variant, step, seconds_per_image and ssim: means over pictures, medians over rounds."""
    frames = [
        pd.DataFrame(
            {
                "variant": name,
                "step": descent.grid,
                "seconds_per_image": np.median(descent.rounds, axis=0),
                "ssim": descent.ssim.mean(axis=0),
            }
        )
        for name, descent in descents.items()
    ]
    return pd.concat(frames, ignore_index=True)


def noted(clock: Clock, grid: Sequence[int]) -> tuple[np.ndarray, Tensor]:
    """Return seconds [G] and latents [G, L, D] at the steps of a grid.

    At a step that the clock did not note, since the descent had ended, those of the last one before.
    """
    steps = [max(known for known in clock.seconds if known <= step) for step in grid]
    seconds = np.array([clock.seconds[step] for step in steps])
    return seconds, torch.stack([clock.latents[step] for step in steps])


def scores(codec: GanCodec, latents: Tensor, image: Tensor) -> np.ndarray:
    """Return the SSIM, float [G], of the pictures that latents [G, D] give with a uint8 image [3, S, S]."""
    return np.array([distortion(image, drawn)["ssim"] for drawn in codec.renderer.draw(latents)])


def race(
    codecs: Mapping[str, GanCodec], network: Generator, images: Tensor, num_rounds: int, num_plain_steps: int
) -> dict[str, TimedDescent]:
    """Reverse uint8 images [N, 3, S, S] by the plain loop and by codecs, in turn.

    On a GPU a codec uses as many lanes as suit the device, and pictures are repeated to fill them; a CPU needs few.

    Args:
        codecs: by name; of one generator and device.
        network: of the plain loop.
        images: the pictures.
        num_rounds: how often codecs run; the plain loop takes each picture once.
        num_plain_steps: of the plain loop.

    Returns:
        Descents by name, `plain` among them.
    """
    num_rounds = min(num_rounds, len(images))
    codec = next(iter(codecs.values()))
    fills = codec.device.torch_device.type == "cuda"
    lanes = tile(images, max(len(images), codec.device.lanes if fills else 0))
    grids = {name: _grid(codec.reversal.steps) for name, codec in codecs.items()} | {"plain": _grid(num_plain_steps)}
    clocks: dict[str, list[list[Clock]]] = {name: [] for name in grids}
    bar = ProgressBar(total=len(images) + num_rounds * len(codecs), desc="racing to the plain loop's SSIM", leave=False)
    for first in range(num_rounds):
        clocks["plain"].append([])
        for image in images[first::num_rounds].split(1):
            clocks["plain"][-1] += descend_plainly(codec, network, image, num_plain_steps, grids["plain"])
            bar.update()
        for name, ours in codecs.items():
            clocks[name].append(descend(ours, lanes, ours.reversal.steps, grids[name]))
            bar.update()
    bar.close()
    descents = {name: _ours(codec, images, grids[name], clocks[name]) for name in codecs}
    return descents | {"plain": _plain(codec, images, grids["plain"], clocks["plain"])}


def _grid(num_steps: int) -> list[int]:
    return sorted({*range(0, num_steps, max(1, num_steps // _NUM_POINTS)), num_steps})


def _ours(codec: GanCodec, images: Tensor, grid: list[int], rounds: list[list[Clock]]) -> TimedDescent:
    """Return the timed descent of a codec, each part's seconds divided by its lanes; rounds find the same latents."""
    shares = np.stack(
        [
            np.concatenate([np.tile(noted(c, grid)[0] / c.num_lanes, (c.num_lanes, 1)) for c in clocks])
            for clocks in rounds
        ]
    )
    z = torch.cat([noted(clock, grid)[1] for clock in rounds[0]], dim=1).unbind(1)
    each = np.median(shares, axis=0)[: len(images)]
    return TimedDescent(rounds[0][0].num_lanes, grid, shares.mean(axis=1), each, _score(codec, images, z))


def _plain(codec: GanCodec, images: Tensor, grid: list[int], rounds: list[list[Clock]]) -> TimedDescent:
    """Return the timed descent of the plain loop, whose round r took pictures r, r + R, and so on."""
    found = {r + i * len(rounds): noted(c, grid) for r, clocks in enumerate(rounds) for i, c in enumerate(clocks)}
    seconds = np.stack([found[i][0] for i in range(len(images))])
    of_rounds = np.stack([seconds[r :: len(rounds)].mean(axis=0) for r in range(len(rounds))])
    z = [found[i][1][:, 0] for i in range(len(images))]
    return TimedDescent(1, grid, of_rounds, seconds, _score(codec, images, z))


def _score(codec: GanCodec, images: Tensor, latents: Sequence[Tensor]) -> np.ndarray:
    bar = ProgressBar(images, desc="scoring", leave=False)
    return np.stack([scores(codec, z, image) for image, z in zip(bar, latents, strict=False)])


def tile(images: Tensor, num_images: int) -> Tensor:
    """Return a number of images, repeating the given ones."""
    return images[torch.arange(num_images) % len(images)]
