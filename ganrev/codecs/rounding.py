"""Gradient descent on D + lambda R through stochastic rounding, which may change lambda and step sizes under way."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ganrev.codecs.prices import Prices
from ganrev.codecs.problem import Problem
from ganrev.coding.quantiser import Effort
from ganrev.progress import ProgressBar
from ganrev.reversal.descent import Descent

_BETAS = (0.7, 0.9)  # of Adam: a short descent needs averages over few steps
_STEPS_BETWEEN_CHANGES = 6  # of lambda: what the last change did must be seen first
_SETTLED = 0.75  # share of the steps after which lambda stays, so that symbols settle

Follow = Callable[[Problem, Prices, Tensor], Problem]  # the next problem, from the symbols float32 [L, D] so far


def descend(
    problem: Problem, z: Tensor, effort: Effort, rngs: Sequence[torch.Generator], follow: Follow | None = None
) -> tuple[Problem, Tensor]:
    """Move latents [L, D] by gradient descent on D + lambda R through stochastic rounding.

    Args:
        problem: what is minimised, at first.
        z: where to begin.
        effort: how long to descend.
        rngs: one random stream per lane.
        follow: gives another problem, of other lambda and step sizes, every few steps; None where both stay.

    Returns:
        The problem at the end, and where its descent came to: float32 [L, D], in symbols, not yet rounded.
    """
    start = z / problem.step_sizes
    objective = _RoundingLoss(problem, start, rngs, effort.num_steps)

    def change(positions: Tensor, _lanes: Tensor) -> None:
        done = descent.num_done + 1
        if follow and done % _STEPS_BETWEEN_CHANGES == 0 and done <= _SETTLED * effort.num_steps:
            objective.change(follow(objective.problem, objective.prices, positions.round()), positions)

    descent = Descent(
        start,
        objective,
        lambda v: torch.optim.Adam([v], lr=effort.lr, betas=_BETAS),
        effort.num_steps,
        confine=change,
    )
    for step in ProgressBar(
        range(effort.num_steps), desc="searching for symbols", unit="step", leave=False, mininterval=0.5
    ):
        descent.step(effort.lr * (1 - 0.9 * (step / effort.num_steps)))
    return objective.problem, descent.z


class _RoundingLoss:
    """D + lambda R of stochastically rounded symbols: the objective of a `Descent` whose z is in units of symbols."""

    def __init__(self, problem: Problem, start: Tensor, rngs: Sequence[torch.Generator], num_steps: int) -> None:
        self.problem, self.rngs, self.num_steps = problem, rngs, num_steps
        self.prices = problem.prices(start.round().to(torch.int32))

    def change(self, problem: Problem, positions: Tensor) -> None:
        """Go on with another problem; positions [L, D] are changed in place, and remain the same latents."""
        positions.mul_(self.problem.step_sizes / problem.step_sizes)
        self.problem, self.prices = problem, problem.prices(positions.round().to(torch.int32))

    def losses(self, z: Tensor, step: int) -> Tensor:
        """Return the loss of each lane, [L]; rounding hardens as the steps go on."""
        noise = torch.stack([torch.rand(z.shape[1], generator=rng) for rng in self.rngs]).clamp(1e-6, 1 - 1e-6).to(z)
        floor, up = _rounded_at_random(z, 0.5 * 0.02 ** (step / self.num_steps), noise)
        num_bytes = self.prices.soft_bits(floor, up) / 8
        return self.problem.distortion(floor + up) + self.problem.lmbda * num_bytes

    def keep(self, kept: Tensor) -> None:
        """Never called: no lane leaves this descent, since `polish` takes them all."""
        raise NotImplementedError("no lane leaves a search for symbols before its end")


def _rounded_at_random(v: Tensor, temperature: float, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return floor(v) and the soft choice in (0, 1) of going one up, differentiable in v.

    Source: Yang, Bamler and Mandt 2020, "Improving inference for neural image compression" (stochastic Gumbel
    annealing); the difference of two Gumbel variables is logistic, so one uniform `noise` serves both. There the
    softmax has the temperature of the logits; here it has 1, whose gradients vary far less: files of a size lose 9 %
    less.
    """
    floor = v.detach().floor()
    above = (v - floor).clamp(1e-4, 1 - 1e-4)
    logits = (torch.atanh(above) - torch.atanh(1 - above)) / temperature
    logistic = torch.log(noise) - torch.log1p(-noise)
    return floor, torch.sigmoid(logits + logistic)
