"""How long each descent takes to the SSIM at which the plain loop ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from experiments.bench.measures import Clock, crossing, descend, descend_plainly, ratios
from ganrev.gan import GanCodec
from ganrev.generator.base import Generator
from ganrev.metrics import distortion
from ganrev.pixels import to_images

_POINTS = 60  # of the grid of steps at which pictures are scored


@dataclass(frozen=True)
class Race:
    """Both descents over N pictures, noted at G steps; the pictures are drawn and scored after the clocks have stopped.

    Attributes:
        grid: [G], steps.
        plain_seconds: float [N, G], since the start of the picture.
        our_seconds: float [R, L, G], since the start of the lane's part, over the lanes in it, in each of R rounds.
        plain_ssim: float [N, G], of the uint8 picture that a decoder draws from z, in float32 and without rounding z.
        our_ssim: likewise.
    """

    grid: list[int]
    plain_seconds: np.ndarray
    our_seconds: np.ndarray
    plain_ssim: np.ndarray
    our_ssim: np.ndarray

    @property
    def num_rounds(self) -> int:
        """Rounds in which ours was timed; the plain loop took every R-th picture in each."""
        return len(self.our_seconds)

    def curves(self) -> pd.DataFrame:
        """Return variant, step, seconds_per_image and ssim: means over pictures, medians over rounds."""
        pairs = {
            "plain": (self.plain_seconds.mean(axis=0), self.plain_ssim),
            "ganrev": (np.median(self.our_seconds.mean(axis=1), axis=0), self.our_ssim),
        }
        frames = [
            pd.DataFrame({"variant": name, "step": self.grid, "seconds_per_image": seconds, "ssim": ssim.mean(axis=0)})
            for name, (seconds, ssim) in pairs.items()
        ]
        return pd.concat(frames, ignore_index=True)

    def steps_to_plain(self) -> dict[str, float]:
        """Return the step at which each descent's mean SSIM first reaches the plain loop's last one, or infinity."""
        means = {"plain": self.plain_ssim.mean(axis=0), "ganrev": self.our_ssim.mean(axis=0)}
        return {name: crossing(self.grid, mean, means["plain"][-1]) for name, mean in means.items()}

    def seconds_to_plain(self) -> dict[str, list[float]]:
        """Return seconds per image until then, for each round; infinite where that SSIM is never reached."""
        steps = self.steps_to_plain()
        rounds = range(self.num_rounds)
        plain = [self.plain_seconds[r :: self.num_rounds] for r in rounds]
        return {
            "plain": [self._at(seconds.mean(axis=0), steps["plain"]) for seconds in plain],
            "ganrev": [self._at(self.our_seconds[r].mean(axis=0), steps["ganrev"]) for r in rounds],
        }

    def ratio_of_each(self) -> list[float]:
        """Return plain over our seconds per image, each picture to its own last SSIM of the plain loop; 0 for never."""
        ours = np.median(self.our_seconds, axis=0)
        pairs = []
        for i, target in enumerate(self.plain_ssim[:, -1]):
            plain_step = crossing(self.grid, self.plain_ssim[i], target)
            our_step = crossing(self.grid, self.our_ssim[i], target)
            pairs.append((self._at(self.plain_seconds[i], plain_step), self._at(ours[i], our_step)))
        return ratios(*zip(*pairs, strict=True))

    def _at(self, seconds: np.ndarray, step: float) -> float:
        return math.inf if step == math.inf else float(seconds[self.grid.index(step)])


def noted(clock: Clock, grid: Sequence[int]) -> tuple[np.ndarray, Tensor]:
    """Return seconds [G] and latents [G, L, D] at the steps of a grid.

    At a step that the clock did not note, since the descent had ended, those of the last one before.
    """
    steps = [max(known for known in clock.seconds if known <= step) for step in grid]
    seconds = np.array([clock.seconds[step] for step in steps])
    return seconds, torch.stack([clock.latents[step] for step in steps])


@torch.no_grad()
def scores(codec: GanCodec, latents: Tensor, image: Tensor) -> np.ndarray:
    """Return the SSIM, float [G], of the pictures that latents [G, D] give with a uint8 image [3, S, S]."""
    parts = [to_images(codec.generator(z.to(codec.device.torch_device))).cpu() for z in latents.split(16)]
    return np.array([distortion(image, drawn)["ssim"] for drawn in torch.cat(parts)])


def race(codec: GanCodec, network: Generator, images: Tensor, rounds: int) -> Race:
    """Reverse uint8 images [N, 3, S, S] by the plain loop and by ours, in turn.

    On a GPU ours has as many lanes as the device likes, and pictures repeat to fill them; a CPU is full with few.

    Args:
        codec: ours.
        network: of the plain loop.
        images: the pictures.
        rounds: how often ours runs; the plain loop takes each picture once.
    """
    steps, rounds = codec.reversal.steps, min(rounds, len(images))
    grid = sorted({*range(0, steps, max(1, steps // _POINTS)), steps})
    plain: dict[int, Clock] = {}
    ours: list[list[Clock]] = []
    fills = codec.device.torch_device.type == "cuda"
    lanes = tile(images, max(len(images), codec.device.lanes if fills else 0))
    with tqdm(total=len(images) + rounds, desc="racing to the plain loop's SSIM", leave=False) as bar:
        for first in range(rounds):
            for i in range(first, len(images), rounds):
                (plain[i],) = descend_plainly(codec, network, images[i : i + 1], steps, grid)
                bar.update()
            ours.append(descend(codec, lanes, steps, grid))
            bar.update()
    return _score(codec, images, grid, [plain[i] for i in range(len(images))], ours)


def _score(codec: GanCodec, images: Tensor, grid: list[int], plain: list[Clock], ours: list[list[Clock]]) -> Race:
    shares = [
        np.concatenate([np.tile(noted(c, grid)[0] / c.num_lanes, (c.num_lanes, 1)) for c in clocks]) for clocks in ours
    ]
    plain_z = [noted(clock, grid)[1][:, 0] for clock in plain]
    our_z = torch.cat([noted(clock, grid)[1] for clock in ours[0]], dim=1).unbind(1)  # every round finds the same
    bar = tqdm(images, desc="scoring", leave=False)
    pairs = [
        (scores(codec, a, image), scores(codec, b, image)) for image, a, b in zip(bar, plain_z, our_z, strict=False)
    ]
    plain_ssim, our_ssim = (np.stack(ssim) for ssim in zip(*pairs, strict=True))
    return Race(grid, np.stack([noted(c, grid)[0] for c in plain]), np.stack(shares), plain_ssim, our_ssim)


def tile(images: Tensor, number: int) -> Tensor:
    """Return so many images, repeating those there are."""
    return images[torch.arange(number) % len(images)]
