"""What one network of every rate needs: qualities, values that depend on them, and rounding while training.

A quality from 0 to 100 stands for a Lagrange multiplier, the distortion that a byte must save: neighbouring qualities
are 5.7 % apart. Whatever depends on the quality is linear between six knots.

Source: Cui et al. 2021, "Asymmetric gained deep image compression", for gains that depend on the rate.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

BEST_QUALITY = 100
SPACING = 20  # qualities between neighbouring knots
NUM_KNOTS = BEST_QUALITY // SPACING + 1
_LAMBDAS = (1.6e-2, 6e-5)  # per byte, of the worst and the best quality: some 60 and 2000 bytes a face


def lambda_of(quality: Tensor) -> Tensor:
    """Return the distortion that a byte must save, of qualities from 0 to 100, of the same shape."""
    worst, best = map(math.log, _LAMBDAS)
    return torch.exp(worst + (best - worst) * quality / BEST_QUALITY)


def knot_weights(quality: Tensor) -> Tensor:
    """Return how much each knot counts at qualities [N]: float [N, NUM_KNOTS], rows that add up to one."""
    knots = torch.arange(NUM_KNOTS, dtype=quality.dtype, device=quality.device)
    return (1 - (quality[:, None] / SPACING - knots).abs()).clamp_min(0)


class Knots(nn.Module):
    """A vector that depends on the quality: given at the knots, linear between them.

    Args:
        start: what it is before training, float32 [NUM_KNOTS, D].
    """

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(start.clone())

    def forward(self, quality: Tensor) -> Tensor:
        """Return float32 [N, D] at qualities [N]."""
        return knot_weights(quality) @ self.values


def whole_between_knots(table: np.ndarray, quality: int) -> np.ndarray:
    """Return int64 [...] at one quality of whole numbers at the knots, int64 [NUM_KNOTS, ...], rounded down.

    Whole numbers alone, so that every machine comes to the same.
    """
    knot, beyond = divmod(quality, SPACING)
    after = table[min(knot + 1, NUM_KNOTS - 1)]
    return (table[knot] * (SPACING - beyond) + after * beyond) // SPACING


def with_noise(values: Tensor, rng: torch.Generator | None) -> Tensor:
    """Add noise from U[-1/2, 1/2], which stands for rounding where the rate is estimated (Ballé et al. 2017)."""
    return values + torch.rand(values.shape, generator=rng).to(values.device) - 0.5


def rounded_straight_through(values: Tensor) -> Tensor:
    """Round, with the gradient of not rounding (Theis et al. 2017, section 2.1)."""
    return values + (values.round() - values).detach()
