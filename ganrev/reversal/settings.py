"""How to descend: the options of a reversal."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ganrev.configuration.options import is_number, is_whole
from ganrev.generator.base import Generator
from ganrev.reversal.halving import Rung

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
            after three tenths (`ganrev.reversal.halving`).
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
