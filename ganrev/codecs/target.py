"""What files must have, a size or a quality, and how a descent's lambda follows it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganrev.codecs.prices import Prices
from ganrev.codecs.problem import Problem

LAMBDAS = (1e-7, 1.0)  # between which lambda is looked for
NEAR = 1.1  # a file that is larger by up to this factor, or better, is trimmed to the target
_AIM = 1.03  # so this is what a descent aims at
_OVERHEAD = 13  # bytes of a file beside the code lengths of its symbols: header, width, and what the last byte wastes
# Bytes fall as lambda ** -0.25 with z alone and as lambda ** -0.6 with a grid, distortion grows as lambda ** 0.2 or
# more. Lambda is changed by a little less than that takes, since what it does is seen only some steps later.
_Z_POWER, _GRID_POWER, _DISTORTION_POWER = 2.0, 1.1, 2.0
_MOST = 2.0  # change of lambda at a time


@dataclass(frozen=True)
class Target:
    """What files must have: a size, or a quality.

    Attributes:
        num_bytes: the most that a file may take; None where a quality is asked for.
        judge: the distortion in which a quality is asked for; None for the loss that is searched with.
        limit: the most of it that is allowed.
    """

    num_bytes: int | None = None
    judge: nn.Module | None = None
    limit: float = math.inf

    def ratio(self, num_bytes: int, distortion: float) -> float:
        """Return a file's size over the target's, or its distortion over the most that is allowed."""
        return distortion / self.limit if self.num_bytes is None else num_bytes / self.num_bytes

    @torch.no_grad()
    def follow(self, problem: Problem, prices: Prices, symbols: Tensor) -> Tensor:
        """Return the lambda of each lane, [L], with which symbols float32 [L, D] should come nearer to the target."""
        if self.num_bytes is None:
            power = -_DISTORTION_POWER
            ratio = problem.distortion(symbols, self.judge) / (self.limit / _AIM)
        else:
            power = _Z_POWER if problem.grid is None else _GRID_POWER
            ratio = prices.quote(symbols).num_bytes / max(_AIM * self.num_bytes - _OVERHEAD, 1.0)
        low, high = LAMBDAS
        change = ratio.clamp_min(1e-6).pow(power).clamp(1 / _MOST, _MOST)
        return (problem.lmbda * change).clamp(low, high)
