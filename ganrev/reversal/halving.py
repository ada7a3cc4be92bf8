"""Successive halving: the worse attempts at a picture are dropped, and the steps are spent on the better ones.

Source: Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Rung:
    """A point of a descent after which fewer lanes go on.

    Attributes:
        num_steps: taken by then.
        num_lanes: of each picture, at least one, that go on.
    """

    num_steps: int
    num_lanes: int


def num_lanes_after(rungs: Sequence[Rung], num_steps: int, num_lanes: int) -> int:
    """Return how many of a picture's lanes go on after a number of steps.

    Args:
        rungs: of the descent, in any order.
        num_steps: that have been taken.
        num_lanes: that began.
    """
    return min((rung.num_lanes for rung in rungs if num_steps >= rung.num_steps), default=num_lanes)


def outranked(losses: Tensor, dropped: Tensor, num_lanes: int, num_staying: int) -> Tensor:
    """Return which lanes are not among the best of their picture, or have been dropped before; bool [L].

    Args:
        losses: float [L], the lower the better, infinite for a lane that diverged; the lanes of a picture side by side.
        dropped: bool [L], lanes that have left. They rank behind every lane that goes on.
        num_lanes: of each picture.
        num_staying: of them, how many stay.
    """
    ranked = losses.masked_fill(dropped, math.nan).view(-1, num_lanes)  # NaN is sorted after infinity
    rank = ranked.argsort(dim=1, stable=True).argsort(dim=1)
    return (rank >= num_staying).flatten()
