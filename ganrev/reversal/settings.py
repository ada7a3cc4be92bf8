"""How to descend: the options of a reversal."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ganrev.configuration.options import BelowOne, Count, Positive, Several, Share, checked_options
from ganrev.generator.base import Generator
from ganrev.reversal.halving import Rung

_HALVING = ((0.1, 0.5), (0.3, 0.0))  # after this share of the steps, this share of a picture's restarts goes on

Betas = Annotated[tuple[BelowOne, BelowOne], Several, Field(description="two numbers in [0, 1), such as [0.9, 0.999]")]


class Reversal:
    """How to descend.

    Args:
        optimizer: `sgd` (the paper) or `adam`.
        lr: learning rate on the sum over lanes of per-image mean losses; the paper's lies between 1 and 10.
        steps: number of gradient steps.
        momentum: of SGD.
        betas: of Adam, how slowly its two averages change. Few steps need averages over few: 100 at (0.7, 0.9) redraw a
            face as well as 300 at Adam's usual (0.9, 0.999).
        scaled: whether each latent moves in proportion to its `Generator.latent_step_sizes`, so that one that is
            hardly visible moves further. For `init=linear`: a draw from the prior is too far away in the visible ones.
        schedule: `constant`, or `cosine` down to zero.
        init: where a picture's first lane starts: `prior`, a draw from it, or `linear`, where the inverse of the
            generator's linear map points (`Generator.invert_linear_map`). Other restarts draw from the prior.
        restarts: attempts per picture; the codec keeps the best.
        halving: whether the worse restarts are dropped: half of them after a tenth of the steps, all but the best
            after three tenths (`ganrev.reversal.halving`).
        plateau: a lane ends once its loss, over 25 steps, has fallen by less than this share; None to take every
            step. For a constant rate: cosine's last steps pay because they are small.
        clip: keep z in [-1, 1], where a uniform prior put it (a normal prior has no bounds, and nothing is
            clipped): `none`, `hard` (clamp) or `stochastic` (redraw each element that leaves from
            the interval; Lipton and Tripathi 2017).

    Raises:
        ValueError: an option outside its range.
    """

    @checked_options("reversal.")
    def __init__(
        self,
        optimizer: Literal["sgd", "adam"] = "adam",
        lr: Positive = 0.2,
        steps: Count = 100,
        momentum: BelowOne = 0.0,
        betas: Betas = (0.7, 0.9),
        scaled: bool = False,
        schedule: Literal["constant", "cosine"] = "cosine",
        init: Literal["prior", "linear"] = "prior",
        restarts: Count = 1,
        halving: bool = True,
        plateau: Share | None = None,
        clip: Literal["none", "hard", "stochastic"] = "none",
    ) -> None:
        if plateau is not None and schedule != "constant":
            raise ValueError("reversal.plateau belongs to reversal.schedule=constant; a cosine ends by itself")
        if momentum and optimizer == "adam":
            raise ValueError("reversal.momentum belongs to optimizer=sgd; adam has its own, leave it at 0")
        self.optimizer, self.lr, self.momentum, self.betas = optimizer, lr, momentum, betas
        self.scaled, self.steps, self.schedule = scaled, steps, schedule
        self.init, self.restarts, self.clip = init, restarts, clip
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
        """When the worse restarts of each picture are dropped, and how many of them stay."""
        shares = _HALVING if self.halving else ()
        return tuple(
            Rung(round(share * self.steps) + 1, max(1, math.ceil(part * self.restarts))) for share, part in shares
        )
