"""Reverse a generator: find the latents that redraw given pictures, by gradient descent.

A lane is one attempt: one picture, one restart. Lanes share a batch for speed, and what one of them finds depends on
no other, but that restarts of a picture may be told to leave when they fall behind.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ganrev.generator.base import Generator
from ganrev.options import is_number, is_whole

Progress = Callable[[int, Tensor], None]

_WINDOW = 25  # steps over which losses are averaged, to tell whether a lane still falls
_RUNGS = ((0.1, 0.5), (0.3, 0.0))  # share of the steps, and of a picture's restarts that stay: at least one


@dataclass(frozen=True)
class Reversed:
    """What reversal found.

    Attributes:
        z: float32 [L, D], one latent vector a lane.
        losses: float32 [L, steps], the loss before each step; NaN once the lane has left.
        diverged: bool [L], lanes whose loss is no longer finite or has risen above where it began.
        lost: bool [L], restarts that left for better ones of their picture.
    """

    z: Tensor
    losses: Tensor
    diverged: Tensor
    lost: Tensor


class Reversal:
    """How to descend.

    Args:
        optimizer: `sgd` (the paper) or `adam`.
        lr: learning rate on the sum over lanes of per-image mean losses; the paper's lies between 1 and 10.
        steps: number of gradient steps.
        momentum: of SGD.
        betas: of Adam, how slowly its two averages forget. Few steps need a short memory: 100 at (0.7, 0.9) redraw a
            face as well as 300 at Adam's usual (0.9, 0.999).
        scaled: whether each latent moves in proportion to its `Generator.latent_steps`, so that one which shows
            little moves further. For `init=linear`: a draw from the prior is too far away in those that show much.
        schedule: `constant`, or `cosine` down to zero.
        init: where a picture's first lane starts: `prior`, a draw from it, or `linear`, where the inverse of the
            generator's linear map points (`Generator.propose`). Other restarts draw from the prior.
        restarts: attempts a picture; the codec keeps the best.
        halving: whether restarts leave that fall behind: half of them after a tenth of the steps, all but the best
            after three tenths (successive halving: Jamieson and Talwalkar 2016).
        plateau: a lane leaves once its loss, over 25 steps, has fallen by less than this share; None to take every
            step. For a constant rate: cosine's last steps pay because they are small.
        clip: keep z in [-1, 1], where a uniform prior put it (a normal prior has no bounds, and nothing is
            clipped): `none`, `hard` (clamp) or `stochastic` (redraw each element that leaves from
            the interval; Lipton and Tripathi 2017).

    Raises:
        ValueError: an option outside its range.
    """

    def __init__(
        self,
        optimizer: Literal["sgd", "adam"] = "adam",
        lr: float = 0.2,
        steps: int = 100,
        momentum: float = 0.0,
        betas: Sequence[float] = (0.7, 0.9),
        scaled: bool = False,
        schedule: Literal["constant", "cosine"] = "cosine",
        init: Literal["prior", "linear"] = "prior",
        restarts: int = 1,
        halving: bool = True,
        plateau: float | None = None,
        clip: Literal["none", "hard", "stochastic"] = "none",
    ) -> None:
        _one_of("optimizer", optimizer, ("sgd", "adam"))
        _one_of("schedule", schedule, ("constant", "cosine"))
        _one_of("clip", clip, ("none", "hard", "stochastic"))
        _one_of("init", init, ("prior", "linear"))
        for name, value in (("halving", halving), ("scaled", scaled)):
            if not isinstance(value, bool):
                raise ValueError(f"reversal.{name} must be true or false, got {value!r}")
        if plateau is not None and not (is_number(plateau) and 0 < plateau < 1):
            raise ValueError(f"reversal.plateau must lie between 0 and 1, or be null, got {plateau!r}")
        if plateau is not None and schedule != "constant":
            raise ValueError("reversal.plateau belongs to reversal.schedule=constant; a cosine ends by itself")
        for name, value in (("steps", steps), ("restarts", restarts)):
            if not (is_whole(value) and value >= 1):
                raise ValueError(f"reversal.{name} must be a whole number of at least 1, got {value!r}")
        if not (is_number(lr) and lr > 0):
            raise ValueError(f"reversal.lr must be a positive number, got {lr!r}")
        if not (is_number(momentum) and 0 <= momentum < 1):
            raise ValueError(f"reversal.momentum must lie in [0, 1), got {momentum!r}")
        if momentum and optimizer == "adam":
            raise ValueError("reversal.momentum belongs to optimizer=sgd; adam has its own, leave it at 0")
        if not (
            isinstance(betas, Sequence) and len(betas) == 2 and all(is_number(beta) and 0 <= beta < 1 for beta in betas)
        ):
            raise ValueError(f"reversal.betas must be two numbers in [0, 1), such as [0.9, 0.999], got {betas!r}")
        self.optimizer, self.lr, self.momentum, self.betas = optimizer, lr, momentum, tuple(betas)
        self.scaled, self.steps, self.schedule = scaled, int(steps), schedule
        self.init, self.restarts, self.clip = init, int(restarts), clip
        self.halving, self.plateau = halving, plateau

    def make_optimizer(self, z: Tensor) -> torch.optim.Optimizer:
        """Return the optimiser over one batch of lanes; elementwise, so lanes stay independent."""
        if self.optimizer == "adam":
            return torch.optim.Adam([z], lr=self.lr, betas=self.betas)
        return torch.optim.SGD([z], lr=self.lr, momentum=self.momentum)

    def strides(self, generator: Generator) -> Tensor:
        """Return how far each latent goes in units of the optimiser's step, float32 [D], with geometric mean 1."""
        steps = generator.latent_steps if self.scaled else torch.ones(generator.latent_dim)
        return steps / steps.log().mean().exp()

    def lr_at(self, step: int) -> float:
        """Return the learning rate of one step."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def restarts_after(self, step: int) -> int:
        """Return how many restarts of each picture go on after a step."""
        parts = [part for share, part in _RUNGS if self.halving and step >= round(share * self.steps)]
        return max(1, math.ceil(min(parts, default=1.0) * self.restarts))

    def judges_at(self, step: int) -> bool:
        """Return whether lanes may leave after a step."""
        fewer = self.restarts_after(step) < (self.restarts if step == 0 else self.restarts_after(step - 1))
        return fewer or (self.plateau is not None and (step + 1) % _WINDOW == 0)


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


def first_latents(generator: Generator, targets: Tensor, rngs: list[torch.Generator], settings: Reversal) -> Tensor:
    """Return where each lane starts, float32 [L, D] on the targets' device; arguments as of `reverse`."""
    start = torch.cat([generator.sample_prior(1, rng) for rng in rngs]).to(targets.device)
    if settings.init == "linear":
        start[:: settings.restarts] = generator.propose(targets[:: settings.restarts])
    return start


def keep_lanes(optimizer: torch.optim.Optimizer, z: Tensor, kept: Tensor) -> tuple[Tensor, torch.optim.Optimizer]:
    """Return some of the lanes, and an optimiser that remembers them alone.

    Args:
        optimizer: over z, and nothing else.
        z: [L, D].
        kept: their indices, int64.
    """
    fewer = z.detach()[kept].requires_grad_(True)
    options = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
    successor = type(optimizer)([fewer], **options)
    successor.state[fewer] = {
        key: value[kept] if isinstance(value, Tensor) and value.ndim else value
        for key, value in optimizer.state[z].items()
    }
    return fewer, successor


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
        targets: x of each lane, float32 [L, 3, H, W] on the generator's device; restarts of a picture side by side.
        rngs: one random stream a lane (`lane_rng`); the first draw is its initial z.
        settings: the descent.
        on_step: called with the step and z [L, D] before each step, and once more after the last.
        label: of the progress bar.

    Returns:
        Latents, trace and verdict of each lane. A lane whose gradient is not finite stays where it was.

    Source: paper, section 3 ("Models and methods").
    """
    found = first_latents(generator, targets, rngs, settings)
    z = found.clone().requires_grad_(True)
    optimizer = settings.make_optimizer(z)
    strides = settings.strides(generator).to(z.device)
    losses = torch.full((len(z), settings.steps), math.nan, device=z.device)
    alive = torch.ones(len(z), dtype=torch.bool, device=z.device)
    lost = torch.zeros_like(alive)
    lanes = torch.arange(len(z), device=z.device)  # that have not left
    bar = tqdm(range(settings.steps), desc=label, unit="step", leave=False, mininterval=0.5)
    for step in bar:
        if on_step:
            on_step(step, found)
        if not len(lanes):
            continue
        optimizer.param_groups[0]["lr"] = settings.lr_at(step)
        streams = [] if settings.clip == "none" else [rngs[lane] for lane in lanes.tolist()]
        losses[lanes, step], fit = _advance(
            generator, loss, targets, z, optimizer, alive[lanes], settings, strides, streams
        )
        alive[lanes], found[lanes] = fit, z.detach()
        if step % 10 == 0:
            bar.set_postfix(loss=f"{losses[lanes, step].nanmean():.4f}", lanes=len(lanes))
        if settings.judges_at(step):
            lost |= _behind(settings, step, losses, lost)
            stays = (alive & ~lost & ~_level(settings, step, losses))[lanes]
            z, optimizer = keep_lanes(optimizer, z, stays.nonzero().flatten())
            lanes, targets = lanes[stays], targets[stays]
    if on_step:
        on_step(settings.steps, found)
    diverged = ~alive | ~(_last(losses) <= losses[:, 0])
    return Reversed(found, losses.cpu(), diverged.cpu(), lost.cpu())


def _advance(
    generator: Generator,
    loss: nn.Module,
    targets: Tensor,
    z: Tensor,
    optimizer: torch.optim.Optimizer,
    alive: Tensor,
    settings: Reversal,
    strides: Tensor,
    rngs: list[torch.Generator],
) -> tuple[Tensor, Tensor]:
    """Take one step in place; return the losses before it, [L], and which lanes are alive after it, bool [L]."""
    z.grad = None
    losses = loss(generator(z), targets)
    losses.sum().backward()
    with torch.no_grad():
        alive = alive & losses.isfinite() & z.grad.isfinite().all(dim=1)
        z.grad.masked_fill_(~alive[:, None], 0)
        before = z.clone()
        optimizer.step()
        if settings.scaled:
            z.sub_(before).mul_(strides).add_(before)
        if generator.prior == "uniform":
            clip_latents(z, settings.clip, rngs)
        alive &= z.isfinite().all(dim=1)
        z.copy_(torch.where(alive[:, None], z, before))
    return losses.detach().float(), alive


def _last(losses: Tensor) -> Tensor:
    """Return the last loss that each lane [L, steps] had, infinite where that was no number."""
    steps = torch.arange(losses.shape[1], device=losses.device)
    had = torch.where(losses.isnan(), -1, steps).amax(dim=1)
    return losses.gather(1, had.clamp(min=0)[:, None])[:, 0].nan_to_num(math.inf)


def _behind(settings: Reversal, step: int, losses: Tensor, lost: Tensor) -> Tensor:
    """Return which lanes [L] are to leave for better restarts of their picture, or have; losses [L, steps]."""
    last = _last(losses).masked_fill(lost, math.nan)  # sorted behind all that goes on, whatever became of that
    rank = last.view(-1, settings.restarts).argsort(dim=1, stable=True).argsort(dim=1)
    return (rank >= settings.restarts_after(step)).flatten()


def _level(settings: Reversal, step: int, losses: Tensor) -> Tensor:
    """Return which lanes have all but ceased to fall, bool [L]; losses [L, steps]."""
    done = step + 1
    if settings.plateau is None or done % _WINDOW or done < 2 * _WINDOW:
        return torch.zeros(len(losses), dtype=torch.bool, device=losses.device)
    then, now = losses[:, done - 2 * _WINDOW : done].view(len(losses), 2, _WINDOW).mean(dim=2).unbind(1)
    return now > (1 - settings.plateau) * then
