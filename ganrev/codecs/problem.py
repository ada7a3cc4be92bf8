"""What a batch of lanes is to minimise: D + lambda R of symbols."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ganrev.codecs.prices import FixedPrices, GridPrices, GridPricing, Prices
from ganrev.coding.latent_coder import CodeLengths
from ganrev.generator.base import Generator

_LARGEST_PRICED = 2048  # symbols beyond it are priced like it: no picture needs them


@dataclass(frozen=True)
class Problem:
    """What a batch of lanes is to minimise.

    Attributes:
        generator: frozen, in the precision to compute with.
        loss: takes x and target [L, 3, H, W], returns [L].
        targets: x of each lane [L, 3, H, W].
        step_sizes: of the quantiser in units of z, float32 [L, D].
        lmbda: the loss that a byte may cost, float32 [L].
        codes: returns the scale codes [L, D] under which int32 symbols [L, D] of z would be coded.
        grid: where latents go on beyond z, how these are priced, and each lane's step size as files store it [L].
    """

    generator: Generator
    loss: nn.Module
    targets: Tensor
    step_sizes: Tensor
    lmbda: Tensor
    codes: Callable[[Tensor], np.ndarray]
    grid: tuple[GridPricing, Tensor] | None = None

    def distortion(self, symbols: Tensor, judge: nn.Module | None = None) -> Tensor:
        """Return the loss [L] of symbols [L, D], whole or not, or another where there is a judge; differentiable."""
        return (judge or self.loss)(self.generator(symbols * self.step_sizes), self.targets)

    def lengths(self, symbols: Tensor) -> CodeLengths:
        """Return the code lengths that hold near symbols int32 [L, D]."""
        largest = min(2 * int(symbols.abs().max()) + 8, _LARGEST_PRICED)
        return CodeLengths(self.codes(symbols), largest, symbols.device)

    def prices(self, symbols: Tensor) -> Prices:
        """Return the prices that hold near symbols int32 [L, D]."""
        if self.grid is None:
            return FixedPrices(self.lengths(symbols))
        pricing, step_sizes = self.grid
        codes = self.codes(symbols[:, : pricing.generator.latent_dim])
        return GridPrices(pricing, step_sizes, torch.from_numpy(codes))

    def slopes(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss [L] of symbols float32 [L, D], and by how much each symbol changes it, [L, D]."""
        symbols = symbols.detach().requires_grad_(True)
        distortion = self.distortion(symbols)
        (slopes,) = torch.autograd.grad(distortion.sum(), symbols)
        return distortion.detach(), slopes
