"""The models of the family. Each turns a picture into parts of whole numbers, says how widely they spread, and draws.

Later parts may spread as earlier ones say; a decoder reads them in that order.
"""

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from baselines.learned.rates import NUM_KNOTS, SPACING, whole_between_knots
from ganrev.coding import range_coder
from ganrev.coding.quantiser import SYMBOL_LIMIT

Kind = Literal["autoencoder", "hyperprior", "encoder", "adversarial"]


class LearnedModel(nn.Module, ABC):
    """What training and coding ask of each model.

    Attributes:
        num_parts: of the symbols of one picture.
    """

    num_parts = 1

    @abstractmethod
    def forward(self, x: Tensor, quality: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return redrawn pictures and estimated bits, for training.

        Args:
            x: pictures, float [N, 3, 128, 128] in [-1, 1].
            quality: of each, float [N] from 0 to 100.
            rng: of the noise in the estimate.

        Returns:
            float32 [N, 3, 128, 128], not clamped, and float32 [N].
        """

    @abstractmethod
    def symbols(self, x: Tensor, quality: int, rounding: float = 0.5) -> list[np.ndarray]:
        """Return the parts of one picture, each int32 [D].

        Args:
            x: the picture, float32 [1, 3, 128, 128] in [-1, 1].
            quality: from 0 to 100.
            rounding: what is added to a magnitude before its fraction is dropped; below 0.5 it rounds towards zero.
        """

    @abstractmethod
    def codes(self, quality: int, before: list[np.ndarray]) -> np.ndarray:
        """Return the scale codes, int64 [D], of the part after those before: the same on every machine."""

    @abstractmethod
    def draw(self, parts: list[np.ndarray], quality: int) -> Tensor:
        """Return one picture, float32 [1, 3, 128, 128] in [-1, 1] and not clamped, of all its parts."""

    def fast_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that training moves in larger steps."""
        return []


class FixedCodes(nn.Module):
    """Scale codes of symbols that nothing decoded before tells of, measured after the training.

    Args:
        num_symbols: D.
    """

    def __init__(self, num_symbols: int) -> None:
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", torch.zeros(NUM_KNOTS, num_symbols))  # whole, so exact in float16, too

    def at(self, quality: int) -> np.ndarray:
        """Return int64 [D], of the codes that have a table, whatever the weights say."""
        codes = whole_between_knots(self.table.round().long().cpu().numpy(), quality)
        return np.clip(codes, range_coder.LOWEST, range_coder.HIGHEST)


def quality_tensor(quality: int) -> Tensor:
    """Return one quality as the models take it, float32 [1]."""
    return torch.tensor([float(quality)])


def to_symbols(values: Tensor, rounding: float) -> np.ndarray:
    """Round float [1, ...] to int32 [D], within 16 bits."""
    whole = values.sign() * (values.abs() + rounding).floor()
    return whole.clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).flatten().to(torch.int32).numpy()


def knot_qualities() -> Tensor:
    """Return the qualities of the knots, float32 [NUM_KNOTS]."""
    return torch.arange(NUM_KNOTS, dtype=torch.float32) * SPACING
