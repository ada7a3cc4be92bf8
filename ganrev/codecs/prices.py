"""What symbols cost, in bits: for descents, where they are not whole, and for changes of single symbols."""

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ganrev.coding import range_coder
from ganrev.coding.grid_coder import codes_of_deviations
from ganrev.coding.latent_coder import CodeLengths
from ganrev.generator.base import Generator
from ganrev.generator.grid_prior import MAGNITUDE_CAP, laplace_bits

_LARGEST = 1024  # larger magnitudes are priced like it: no picture needs them
_STEPS_BETWEEN_LOOKS = 8  # of a descent, after which the prior looks anew at what z draws


@dataclass(frozen=True)
class Quote:
    """What the symbols of each lane cost.

    Attributes:
        num_bytes: ideal size of the payload, float32 [L].
        codes: scale code of each symbol above the lowest one, int64 [L, D]; None where prices do not depend on symbols.
        pull: what a larger magnitude of each symbol costs its neighbours, in bits, [L, D]; None likewise.
    """

    num_bytes: Tensor
    codes: Tensor | None = None
    pull: Tensor | None = None

    def replaced(self, lanes: Tensor, other: "Quote") -> "Quote":
        """Return this quote with the marked lanes, bool [L], of another."""
        if self.codes is None or self.pull is None or other.codes is None or other.pull is None:
            return Quote(torch.where(lanes, other.num_bytes, self.num_bytes))
        rows = lanes[:, None]
        return Quote(
            torch.where(lanes, other.num_bytes, self.num_bytes),
            torch.where(rows, other.codes, self.codes),
            torch.where(rows, other.pull, self.pull),
        )


class Prices(Protocol):
    """Prices of symbols [L, D]."""

    def soft_bits(self, floor: Tensor, up: Tensor) -> Tensor:
        """Return the bits of each lane, [L], where symbols are `floor` or, with probability `up`, one more."""
        ...

    def quote(self, symbols: Tensor) -> Quote:
        """Return what whole-numbered symbols cost."""
        ...

    def change(self, symbols: Tensor, sign: int, quote: Quote) -> Tensor:
        """Return the bits, [L, D], that each symbol would add if it alone were one higher or lower (`sign`)."""
        ...


class FixedPrices:
    """Prices under scale codes that do not depend on the symbols: those of z."""

    def __init__(self, lengths: CodeLengths) -> None:
        self.lengths = lengths

    def soft_bits(self, floor: Tensor, up: Tensor) -> Tensor:
        low, high = self.lengths.bits(floor), self.lengths.bits(floor + 1)
        return (low + up * (high - low)).sum(dim=1)

    def quote(self, symbols: Tensor) -> Quote:
        return Quote(self.lengths.num_bytes(symbols))

    def change(self, symbols: Tensor, sign: int, quote: Quote) -> Tensor:
        return self.lengths.bits(symbols + sign) - self.lengths.bits(symbols)


class GridPricing:
    """What the prices of all lanes and of all step sizes have in common.

    Args:
        generator: frozen, with a grid, in float32.
    """

    def __init__(self, generator: Generator) -> None:
        if generator.grid is None:
            raise ValueError(f"{type(generator).__name__} has no latents beyond z")
        self.generator, self.grid = generator, generator.grid
        weight, bias = generator.thumbnail_map(self.grid.shape[1])
        self.weight, self.bias = weight.detach().float(), bias.detach().float()
        self.table = _lengths_by_magnitude().to(weight.device)


class GridPrices:
    """Prices of z and a grid, whose scale codes follow from what is decoded before, in floats.

    They are nearly those of files, which come from whole numbers (`ganrev.coding.grid_coder`).

    Args:
        pricing: of the generator.
        step_sizes: as each lane's file stores it, float32 [L].
        codes: scale codes of z's symbols, int64 [L, D].
    """

    def __init__(self, pricing: GridPricing, step_sizes: Tensor, codes: Tensor) -> None:
        self.pricing, self.grid, self.num_z = pricing, pricing.grid, pricing.generator.latent_dim
        self.log2_step = self.grid.log2_step(step_sizes)
        self.z_step_sizes = step_sizes[:, None] * pricing.generator.latent_step_sizes.to(step_sizes.device)
        self.codes = codes.to(step_sizes.device)
        self._thumbnails: Tensor | None = None
        self._num_looks = 0

    def soft_bits(self, floor: Tensor, up: Tensor) -> Tensor:
        symbols = floor + up
        if self._thumbnails is None or self._num_looks % _STEPS_BETWEEN_LOOKS == 0:
            self._thumbnails = self._draw_thumbnails(symbols.detach())
        self._num_looks += 1
        grid = symbols[:, self.num_z :].unflatten(1, self.grid.shape)
        of_grid = self.grid.prior(grid, self._thumbnails, self.log2_step).flatten(1)
        widths = torch.cat((self.codes / range_coder.CODES_PER_OCTAVE, of_grid), dim=1)
        low, high = laplace_bits(floor, widths), laplace_bits(floor + 1, widths)
        return (low + up * (high - low)).sum(dim=1)

    def quote(self, symbols: Tensor) -> Quote:
        grid = symbols[:, self.num_z :].unflatten(1, self.grid.shape)
        with torch.enable_grad():
            magnitudes = grid.abs().clamp_max(MAGNITUDE_CAP).requires_grad_(True)
            widths = self.grid.prior.widths(magnitudes, self._draw_thumbnails(symbols), self.log2_step)
            (pull,) = torch.autograd.grad(laplace_bits(grid, widths).sum(), magnitudes)
        of_grid = codes_of_deviations(widths.detach()).flatten(1)
        codes = torch.cat((self.codes, of_grid), dim=1) - range_coder.LOWEST
        pull = torch.cat((torch.zeros_like(symbols[:, : self.num_z]), pull.flatten(1)), dim=1)
        return Quote(self._bits(symbols, codes).sum(dim=1) / 8, codes, pull)

    def change(self, symbols: Tensor, sign: int, quote: Quote) -> Tensor:
        if quote.codes is None or quote.pull is None:
            raise ValueError("prices of a grid need the quote of its symbols")
        moved = symbols + sign
        own = self._bits(moved, quote.codes) - self._bits(symbols, quote.codes)
        return own + quote.pull * (moved.abs() - symbols.abs())

    def _bits(self, symbols: Tensor, codes: Tensor) -> Tensor:
        return self.pricing.table[codes, symbols.abs().long().clamp_max(_LARGEST)]

    @torch.no_grad()
    def _draw_thumbnails(self, symbols: Tensor) -> Tensor:
        """Return what z draws, [L, 3, S, S]; each lane by itself, so that it is the same alone and in a batch."""
        z, side = symbols[:, : self.num_z] * self.z_step_sizes, self.grid.shape[1]
        return torch.stack([self.pricing.weight @ row + self.pricing.bias for row in z]).view(-1, 3, side, side)


@cache
def _lengths_by_magnitude() -> Tensor:
    """Return code lengths in bits, float32 [codes, magnitudes], the lowest code first."""
    rows = [
        range_coder.code_lengths(code, _LARGEST)[_LARGEST:]
        for code in range(range_coder.LOWEST, range_coder.HIGHEST + 1)
    ]
    return torch.from_numpy(np.stack(rows)).float()
