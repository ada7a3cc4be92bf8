"""Reverse a generator: find the latents that redraw given pictures, by gradient descent."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor, nn

from ganrev.descent import Descent, PictureLoss
from ganrev.generator.base import Generator
from ganrev.halving import Rung, num_lanes_after, outranked
from ganrev.options import is_number, is_whole
from ganrev.progress import ProgressBar

Progress = Callable[[int, Tensor], None]

_WINDOW = 25  # steps over which losses are averaged, to tell whether a lane still falls
_HALVING = ((0.1, 0.5), (0.3, 0.0))  # after this share of the steps, this share of a picture's restarts goes on


class Reversal:
    """How to descend.

    Args:
        optimizer: `sgd` (the paper) or `adam`.
        lr: learning rate on the sum over lanes of per-image mean losses; the paper's lies between 1 and 10.
        steps: number of gradient steps.
        momentum: of SGD.
        betas: of Adam, how slowly its two averages forget. Few steps need a short memory: 100 at (0.7, 0.9) redraw a
            face as well as 300 at Adam's usual (0.9, 0.999).
        scaled: whether each latent moves in proportion to its `Generator.latent_step_sizes`, so that one which shows
            little moves further. For `init=linear`: a draw from the prior is too far away in those that show much.
        schedule: `constant`, or `cosine` down to zero.
        init: where a picture's first lane starts: `prior`, a draw from it, or `linear`, where the inverse of the
            generator's linear map points (`Generator.invert_linear_map`). Other restarts draw from the prior.
        restarts: attempts per picture; the codec keeps the best.
        halving: whether restarts leave that fall behind: half of them after a tenth of the steps, all but the best
            after three tenths (`ganrev.halving`).
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
        for name, switch in (("halving", halving), ("scaled", scaled)):
            if not isinstance(switch, bool):
                raise ValueError(f"reversal.{name} must be true or false, got {switch!r}")
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
        self.optimizer, self.lr, self.momentum, self.betas = optimizer, lr, momentum, (betas[0], betas[1])
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
        sizes = generator.latent_step_sizes if self.scaled else torch.ones(generator.latent_dim)
        return sizes / sizes.log().mean().exp()

    def lr_at(self, step: int) -> float:
        """Return the learning rate of one step."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """When restarts leave that have fallen behind, and how many of each picture stay."""
        shares = _HALVING if self.halving else ()
        return tuple(
            Rung(round(share * self.steps) + 1, max(1, math.ceil(part * self.restarts))) for share, part in shares
        )


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"reversal.{name} must be one of {', '.join(choices)}, got {value!r}")


# ---- the descent itself


@dataclass(frozen=True)
class ReversalResult:
    """What reversal found.

    Attributes:
        z: float32 [L, D], one latent vector per lane.
        losses: float32 [L, num_steps], the loss before each step; NaN once the lane has left.
        diverged: bool [L], lanes whose loss is no longer finite or has risen above where it began.
        dropped: bool [L], restarts that left for better ones of their picture.
    """

    z: Tensor
    losses: Tensor
    diverged: Tensor
    dropped: Tensor

    @classmethod
    def join(cls, parts: Sequence["ReversalResult"]) -> "ReversalResult":
        """Put what was found in parts of the lanes one behind the other."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def lane_rng(seed: int, image: Tensor, restart: int) -> torch.Generator:
    """Return the random stream of one lane: from the seed, the picture's own pixels and the restart.

    Never from the lane's place in a batch, so that a picture's result does not depend on its neighbours.
    """
    digest = hashlib.sha256(image.cpu().contiguous().numpy().tobytes())
    digest.update(f"{seed}/{restart}".encode())
    return torch.Generator().manual_seed(int.from_bytes(digest.digest()[:8], "little") >> 1)


def clip_latents(z: Tensor, clip: str, rngs: Sequence[torch.Generator]) -> None:
    """Bring the latents of each lane back into [-1, 1], in place.

    Args:
        z: float [L, D].
        clip: `none`, `hard` or `stochastic`.
        rngs: one random stream per lane, for `stochastic`.

    Source: Lipton and Tripathi 2017, section 3; every element is redrawn by itself.
    """
    if clip == "hard":
        z.clamp_(-1, 1)
    elif clip == "stochastic":
        outside = z.abs() > 1
        for lane in torch.nonzero(outside.any(dim=1)).flatten().tolist():
            fresh = torch.rand(z.shape[1], generator=rngs[lane]).to(z) * 2 - 1
            z[lane] = torch.where(outside[lane], fresh, z[lane])


def first_latents(generator: Generator, targets: Tensor, rngs: Sequence[torch.Generator], settings: Reversal) -> Tensor:
    """Return where each lane starts, float32 [L, D] on the targets' device; arguments as of `reverse`."""
    start = torch.cat([generator.sample_prior(1, rng) for rng in rngs]).to(targets.device)
    if settings.init == "linear":
        start[:: settings.restarts] = generator.invert_linear_map(targets[:: settings.restarts])
    return start


def reverse(
    generator: Generator,
    loss: nn.Module,
    targets: Tensor,
    rngs: Sequence[torch.Generator],
    settings: Reversal,
    on_step: Progress | None = None,
    label: str = "reversing",
) -> ReversalResult:
    """Find a latent for each lane.

    Args:
        generator: frozen, in the precision and on the device to compute with.
        loss: takes x and target [L, 3, H, W] in [-1, 1], returns [L].
        targets: x of each lane, float32 [L, 3, H, W] on the generator's device; restarts of a picture side by side.
        rngs: one random stream per lane (`lane_rng`); the first draw is its initial z.
        settings: the descent.
        on_step: called with the step and z [L, D] before each step, and once more after the last.
        label: of the progress bar.

    Returns:
        Latents, trace and verdict of each lane. A lane whose gradient is not finite stays where it was.

    Source: paper, section 3 ("Models and methods").
    """
    clips = settings.clip != "none" and generator.prior == "uniform"
    descent = Descent(
        first_latents(generator, targets, rngs, settings),
        PictureLoss(generator, [loss], targets),
        settings.make_optimizer,
        settings.steps,
        strides=settings.strides(generator).to(targets.device) if settings.scaled else None,
        confine=(lambda z, lanes: clip_latents(z, settings.clip, [rngs[i] for i in lanes.tolist()])) if clips else None,
    )
    bar = ProgressBar(range(settings.steps), desc=label, unit="step", leave=False, mininterval=0.5)
    for step in bar:
        if on_step:
            on_step(step, descent.z)
        if not len(descent.lanes):
            continue
        descent.step(settings.lr_at(step))
        if step % 10 == 0:
            bar.set_postfix(loss=f"{descent.losses[descent.lanes, step].nanmean():.4f}", lanes=len(descent.lanes))
        if _judges(settings, descent.num_done):
            _let_go(descent, settings)
    if on_step:
        on_step(settings.steps, descent.z)
    diverged = ~descent.alive | ~(descent.last_losses() <= descent.losses[:, 0])
    return ReversalResult(descent.z, descent.losses.cpu(), diverged.cpu(), descent.dropped.cpu())


def _judges(settings: Reversal, num_done: int) -> bool:
    """Tell whether lanes may leave after so many steps."""
    before, after = (num_lanes_after(settings.rungs, n, settings.restarts) for n in (num_done - 1, num_done))
    return after < before or (settings.plateau is not None and num_done % _WINDOW == 0)


def _let_go(descent: Descent, settings: Reversal) -> None:
    """Let lanes leave that are outranked by others of their picture, that have diverged, or that have levelled off."""
    num_staying = num_lanes_after(settings.rungs, descent.num_done, settings.restarts)
    descent.drop(outranked(descent.last_losses(), descent.dropped, settings.restarts, num_staying))
    level = _has_plateaued(descent.losses, descent.num_done, settings.plateau)
    descent.keep(descent.alive & ~descent.dropped & ~level)


def _has_plateaued(losses: Tensor, num_done: int, plateau: float | None) -> Tensor:
    """Return which lanes have all but ceased to fall, bool [L]; losses [L, num_steps]."""
    if plateau is None or num_done % _WINDOW or num_done < 2 * _WINDOW:
        return torch.zeros(len(losses), dtype=torch.bool, device=losses.device)
    then, now = losses[:, num_done - 2 * _WINDOW : num_done].view(len(losses), 2, _WINDOW).mean(dim=2).unbind(1)
    return now > (1 - plateau) * then
