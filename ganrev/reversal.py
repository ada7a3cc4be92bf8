"""Reverse a generator: find the latents that redraw given pictures, by gradient descent.

A lane is one attempt: one picture, one restart. Lanes share a batch for speed and nothing else.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ganrev.generator.base import Generator
from ganrev.options import is_number, is_whole

Progress = Callable[[int, Tensor], None]


@dataclass(frozen=True)
class Reversed:
    """What reversal found.

    Attributes:
        z: float32 [L, D], one latent vector a lane.
        losses: float32 [L, steps], the loss before each step.
        diverged: bool [L], lanes whose loss is no longer finite or has risen above where it began.
    """

    z: Tensor
    losses: Tensor
    diverged: Tensor


class Reversal:
    """How to descend.

    Args:
        optimizer: `sgd` (the paper) or `adam`.
        lr: learning rate on the sum over lanes of per-image mean losses; the paper's lies between 1 and 10.
        steps: number of gradient steps.
        momentum: of SGD.
        schedule: `constant`, or `cosine` down to zero.
        restarts: attempts a picture; the codec keeps the best.
        clip: keep z in [-1, 1], where a uniform prior put it (a normal prior has no bounds, and nothing is
            clipped): `none`, `hard` (clamp) or `stochastic` (redraw each element that leaves from
            the interval; Lipton and Tripathi 2017).

    Raises:
        ValueError: an option outside its range.
    """

    def __init__(
        self,
        optimizer: Literal["sgd", "adam"] = "adam",
        lr: float = 0.06,
        steps: int = 300,
        momentum: float = 0.0,
        schedule: Literal["constant", "cosine"] = "cosine",
        restarts: int = 1,
        clip: Literal["none", "hard", "stochastic"] = "none",
    ) -> None:
        _one_of("optimizer", optimizer, ("sgd", "adam"))
        _one_of("schedule", schedule, ("constant", "cosine"))
        _one_of("clip", clip, ("none", "hard", "stochastic"))
        for name, value in (("steps", steps), ("restarts", restarts)):
            if not (is_whole(value) and value >= 1):
                raise ValueError(f"reversal.{name} must be a whole number of at least 1, got {value!r}")
        if not (is_number(lr) and lr > 0):
            raise ValueError(f"reversal.lr must be a positive number, got {lr!r}")
        if not (is_number(momentum) and 0 <= momentum < 1):
            raise ValueError(f"reversal.momentum must lie in [0, 1), got {momentum!r}")
        if momentum and optimizer == "adam":
            raise ValueError("reversal.momentum belongs to optimizer=sgd; adam has its own, leave it at 0")
        self.optimizer, self.lr, self.momentum = optimizer, lr, momentum
        self.steps, self.schedule = int(steps), schedule
        self.restarts, self.clip = int(restarts), clip

    def make_optimizer(self, z: Tensor) -> torch.optim.Optimizer:
        """Return the optimiser over one batch of lanes; elementwise, so lanes stay independent."""
        if self.optimizer == "adam":
            return torch.optim.Adam([z], lr=self.lr)
        return torch.optim.SGD([z], lr=self.lr, momentum=self.momentum)

    def lr_at(self, step: int) -> float:
        """Return the learning rate of one step."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"reversal.{name} must be one of {', '.join(choices)}, got {value!r}")


def lane_rng(seed: int, image: Tensor, restart: int) -> torch.Generator:
    """Return the random stream of one lane: from the seed, the picture's own pixels and the restart.

    Never from the lane's place in a batch, so that a picture's result does not depend on its neighbours.
    """
    digest = hashlib.sha256(image.cpu().contiguous().numpy().tobytes())
    digest.update(f"{seed}/{restart}".encode())
    return torch.Generator().manual_seed(int.from_bytes(digest.digest()[:8], "little") >> 1)


def clip_latents(z: Tensor, clip: str, rngs: list[torch.Generator]) -> None:
    """Bring the latents of each lane back into [-1, 1], in place.

    Args:
        z: float [L, D].
        clip: `none`, `hard` or `stochastic`.
        rngs: one random stream a lane, for `stochastic`.

    Source: Lipton and Tripathi 2017, section 3; every element is redrawn by itself.
    """
    if clip == "hard":
        z.clamp_(-1, 1)
    elif clip == "stochastic":
        outside = z.abs() > 1
        for lane in torch.nonzero(outside.any(dim=1)).flatten().tolist():
            fresh = torch.rand(z.shape[1], generator=rngs[lane]).to(z) * 2 - 1
            z[lane] = torch.where(outside[lane], fresh, z[lane])


def reverse(
    generator: Generator,
    loss: nn.Module,
    targets: Tensor,
    rngs: list[torch.Generator],
    settings: Reversal,
    on_step: Progress | None = None,
    label: str = "reversing",
) -> Reversed:
    """Find a latent for each lane.

    Args:
        generator: frozen, in the precision and on the device to compute with.
        loss: takes x and target [L, 3, H, W] in [-1, 1], returns [L].
        targets: x of each lane, float32 [L, 3, H, W] on the generator's device.
        rngs: one random stream a lane (`lane_rng`); the first draw is the initial z.
        settings: the descent.
        on_step: called with the step and z [L, D] before each step, and once more after the last.
        label: of the progress bar.

    Returns:
        Latents, trace and verdict of each lane. A lane whose gradient is not finite stays where it was.

    Source: paper, section 3 ("Models and methods").
    """
    start = torch.cat([generator.sample_prior(1, rng) for rng in rngs])
    z = start.to(targets.device).requires_grad_(True)
    optimizer = settings.make_optimizer(z)
    losses = torch.empty(settings.steps, len(rngs))
    alive = torch.ones(len(rngs), dtype=torch.bool, device=z.device)
    bar = tqdm(range(settings.steps), desc=label, unit="step", leave=False, mininterval=0.5)
    for step in bar:
        if on_step:
            on_step(step, z.detach())
        optimizer.param_groups[0]["lr"] = settings.lr_at(step)
        z.grad = None
        lane_losses = loss(generator(z), targets)
        lane_losses.sum().backward()
        losses[step] = lane_losses.detach().cpu()
        alive &= lane_losses.detach().isfinite() & z.grad.isfinite().all(dim=1)
        before = z.detach().clone()
        z.grad[~alive] = 0
        optimizer.step()
        with torch.no_grad():
            if generator.prior == "uniform":
                clip_latents(z, settings.clip, rngs)
            alive &= z.isfinite().all(dim=1)
            z[~alive] = before[~alive]
        if step % 10 == 0:
            bar.set_postfix(loss=f"{losses[step].nanmean():.4f}")
    if on_step:
        on_step(settings.steps, z.detach())
    diverged = ~alive.cpu() | ~(losses[-1] <= losses[0])
    return Reversed(z.detach(), losses.T.contiguous(), diverged)
