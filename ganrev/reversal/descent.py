"""Gradient descent over a batch of lanes.

A lane is one attempt at one picture. Lanes share a batch for speed, and what one of them finds depends on no other,
except that a lane may be dropped when other attempts at the same picture are better.
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from ganrev.generator.base import Generator

_FAR = 1000.0  # standard deviations of the prior: the descent has run away
_SLACK = 1e-5  # of a loss: one that begins next to zero may end above that by rounding alone

MakeOptimizer = Callable[[Tensor], torch.optim.Optimizer]


class Objective(Protocol):
    """What a descent minimises, in the lanes that go on."""

    def losses(self, z: Tensor, step: int) -> Tensor:
        """Return the loss of each lane that goes on, [M], from its z, float32 [M, D]; differentiable.

        A lane's loss must depend on that lane alone: the descent takes the gradient of their sum.
        """
        ...

    def keep(self, kept: Tensor) -> None:
        """Go on with some of the lanes only, given as indices among those that went on so far, int64."""
        ...


def check_converged(lost: Tensor, lrs: str) -> None:
    """Raise ValueError where all lanes of a picture are lost.

    Args:
        lost: bool [N, R], of N pictures the R lanes that went on to the end.
        lrs: the learning rate, or several, as an option: `reversal.lr=0.2`.
    """
    num_lost = int(lost.all(dim=1).sum())
    if num_lost:
        lanes = f"all {lost.shape[1]} lanes" if lost.shape[1] > 1 else "the lane"
        whose = "the picture" if len(lost) == 1 else f"each of {num_lost} of {len(lost)} pictures"
        raise ValueError(
            f"{lanes} of {whose} diverged at {lrs}: loss or latents ran away to where no file can hold them; "
            "take a lower learning rate"
        )


class PictureLoss:
    """The loss of the picture that each lane draws.

    Args:
        generator: frozen, in the precision to compute with.
        loss: takes x and target [M, 3, H, W] and returns [M].
        targets: x of each lane, float32 [L, 3, H, W].
    """

    def __init__(self, generator: Generator, loss: nn.Module, targets: Tensor) -> None:
        self.generator, self.loss, self.targets = generator, loss, targets

    def losses(self, z: Tensor, step: int) -> Tensor:
        """Return the loss of each lane, [M]; whatever the step."""
        return self.loss(self.generator(z), self.targets)

    def keep(self, kept: Tensor) -> None:
        """Go on with some of the lanes only."""
        self.targets = self.targets[kept]


class Descent:
    """A descent that lanes may leave; the others go on as if they had been alone.

    From the moment that its loss, gradient or next z is not finite, a lane stays where it was.

    Args:
        start: where each lane begins, float32 [L, D].
        objective: what to minimise, over all lanes.
        make_optimizer: makes the optimiser of a tensor [M, D]; elementwise, so that lanes stay independent.
        num_steps: of the whole descent.
        strides: how far each element goes in units of the optimiser's step, float32 [D]; None for all alike.
        confine: called with z [M, D] and the lanes' indices [M] after each step, to change z in place.

    Attributes:
        z: float32 [L, D], where each lane is, or was when it left.
        losses: float32 [L, num_steps], the loss before each step; NaN once the lane has left.
        alive: bool [L], whether all of a lane's numbers have been finite.
        dropped: bool [L], lanes that left because others of their picture are better.
        lanes: int64 [M], indices of the lanes that go on.
        num_done: steps taken.
    """

    def __init__(
        self,
        start: Tensor,
        objective: Objective,
        make_optimizer: MakeOptimizer,
        num_steps: int,
        *,
        strides: Tensor | None = None,
        confine: Callable[[Tensor, Tensor], None] | None = None,
    ) -> None:
        self.z = start
        self.losses = torch.full((len(start), num_steps), math.nan, device=start.device)
        self.alive = torch.ones(len(start), dtype=torch.bool, device=start.device)
        self.dropped = torch.zeros_like(self.alive)
        self.lanes = torch.arange(len(start), device=start.device)
        self.num_done = 0
        self._objective, self._strides, self._confine = objective, strides, confine
        self._variable = start.clone().requires_grad_(True)
        self._optimizer = make_optimizer(self._variable)

    def step(self, lr: float) -> None:
        """Take one step in all lanes that go on, at this learning rate."""
        v = self._variable
        self._optimizer.param_groups[0]["lr"] = lr
        losses = self._objective.losses(v, self.num_done)
        (gradient,) = torch.autograd.grad(losses.sum(), v)
        with torch.no_grad():
            # A lane without a finite gradient takes no step, in spite of the momentum that its optimiser holds.
            alive = self.alive[self.lanes] & losses.isfinite() & gradient.isfinite().all(dim=1)
            v.grad = gradient.masked_fill_(~alive[:, None], 0)
            before = v.clone()
            self._optimizer.step()
            if self._strides is not None:
                v.sub_(before).mul_(self._strides).add_(before)
            if self._confine:
                self._confine(v, self.lanes)
            alive &= v.isfinite().all(dim=1)
            v.copy_(torch.where(alive[:, None], v, before))
        # Results are stored for all lanes: those of a lane that leaves must remain.
        self.losses[self.lanes, self.num_done] = losses.detach().float()
        self.alive[self.lanes], self.z[self.lanes] = alive, v.detach()
        self.num_done += 1

    def keep(self, stays: Tensor) -> None:
        """Go on only in those of the present lanes that are marked, bool [L]."""
        kept = stays[self.lanes].nonzero().flatten()
        self.lanes = self.lanes[kept]
        self._objective.keep(kept)
        self._variable, self._optimizer = keep_lanes(self._optimizer, self._variable, kept)

    def drop(self, lanes: Tensor) -> None:
        """Mark lanes, bool [L], as dropped for better ones of their picture; `keep` then leaves them out."""
        self.dropped |= lanes

    def last_losses(self) -> Tensor:
        """Return the last loss that each lane had, [L]; infinite where one of the lane's numbers was not finite."""
        steps = torch.arange(self.losses.shape[1], device=self.losses.device)
        had = torch.where(self.losses.isnan(), -1, steps).amax(dim=1)
        last = self.losses.gather(1, had.clamp(min=0)[:, None])[:, 0].nan_to_num(math.inf)
        return last.masked_fill(~self.alive, math.inf)

    def lost(self, prior_std: float) -> Tensor:
        """Return which lanes found nothing that is worth a file, bool [L]: numbers not finite, or latents far out.

        Args:
            prior_std: standard deviation of a latent under the generator's prior.
        """
        return ~self.alive | ~(self.z.abs().amax(dim=1) <= _FAR * prior_std)

    def diverged(self, prior_std: float) -> Tensor:
        """Return which lanes are lost, or ended above where they began, bool [L]; argument as of `lost`."""
        first = self.losses[:, 0]
        return self.lost(prior_std) | ~(self.last_losses() <= first + _SLACK * (1 + first.abs()))


def keep_lanes(optimizer: torch.optim.Optimizer, z: Tensor, kept: Tensor) -> tuple[Tensor, torch.optim.Optimizer]:
    """Return some of the lanes, and an optimiser with the state of those lanes only.

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
