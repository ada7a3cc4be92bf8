"""How widely each symbol of a grid spreads: told by its place, by what z draws, and by symbols decoded before it.

Channels come in groups, and each group in two turns, like the two colours of a chessboard. What widens a symbol are the
magnitudes of its neighbours in all earlier groups and, in the second turn, in the first turn of its own channel.

Source: the turns are those of He et al. 2021, "Checkerboard context model for efficient learned image compression".
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAGNITUDE_CAP = 4  # larger magnitudes tell no more
WEIGHT_UNIT = 1 << 10  # weights are whole multiples of one over it, so that decoders can compute in whole numbers
_LOG2_BOUNDS = -4.0, 8.0  # of deviations, in symbols: those that the range coder has tables for
_GROUPS = (2, 2, 4, 8)  # channels of the first groups, which carry most; all later ones have 16


def group_slices(channels: int) -> list[slice]:
    """Return which channels make each group, in coding order."""
    slices: list[slice] = []
    at = 0
    while at < channels:
        size = _GROUPS[len(slices)] if len(slices) < len(_GROUPS) else 16
        slices.append(slice(at, min(at + size, channels)))
        at += size
    return slices


def second_turn(side: int) -> Tensor:
    """Return which places of a grid are coded in the second turn, bool [S, S]."""
    places = torch.arange(side)
    return (places[:, None] + places) % 2 == 1


def laplace_bits(values: Tensor, log2_deviations: Tensor) -> Tensor:
    """Return the code length in bits of values, whole or not, under zero-mean Laplace laws; differentiable.

    Args:
        values: in symbols.
        log2_deviations: log2 of the laws' standard deviations in symbols, of a shape that broadcasts with it.
    """
    rate = math.sqrt(2) * torch.exp2(-log2_deviations.clamp(*_LOG2_BOUNDS))
    size = values.abs()
    # The law's mass within half a symbol: of two exponentials on one side of zero, or one of each on both sides. The
    # logarithm of the first is taken term by term, since the mass itself may be too small for a float.
    beyond = rate * (size - 0.5) - torch.log((1 - torch.exp(-rate)) / 2)
    inner = size.clamp_max(0.5)
    around = 1 - 0.5 * (torch.exp(-rate * (0.5 - inner)) + torch.exp(-rate * (0.5 + inner)))
    return torch.where(size > 0.5, beyond, -torch.log(around.clamp_min(1e-9))) / math.log(2)


class GridPrior(nn.Module):
    """Widths of a grid's symbols, in floats: for training and for the search. Files are coded by whole numbers instead
    (`ganrev.coding.grid_coder`), derived from the same weights.

    Args:
        channels: C of the grid.
        side: S of the grid.
        hidden: units per channel and turn.
        start: log2 of all deviations at first, in symbols.
    """

    mask: Tensor
    second: Tensor

    def __init__(self, channels: int, side: int, hidden: int = 8, start: float = -1.5) -> None:
        super().__init__()
        self.channels, self.side, self.hidden = channels, side, hidden
        self.place = nn.Parameter(torch.full((channels, side, side), start))
        num_maps = 2 * channels * hidden  # turn, channel, unit
        self.before = nn.Conv2d(channels, num_maps, 3, padding=1)
        self.own = nn.Conv2d(channels, channels * hidden, 5, padding=2, groups=channels, bias=False)
        self.look1 = nn.Conv2d(3, 16, 5, padding=2)
        self.look2 = nn.Conv2d(16, 16, 3, padding=1)
        self.look3 = nn.Conv2d(16, num_maps, 1, bias=False)
        self.tell = nn.Parameter(torch.zeros(num_maps, 1, 1))
        self.out = nn.Parameter(0.1 * torch.randn(2, channels, hidden))
        self.out_bias = nn.Parameter(torch.zeros(2, channels))
        with torch.device("cpu"):  # also where the network is built without memory, to be filled with stored weights
            group = torch.cat([torch.full((s.stop - s.start,), i) for i, s in enumerate(group_slices(channels))])
            earlier = (group[:, None] > group).float()  # [channel, whether this other one is known before it]
            mask = earlier[None, :, None, :].expand(2, channels, hidden, channels).reshape(num_maps, channels, 1, 1)
            self.register_buffer("mask", mask.clone(), persistent=False)
            self.register_buffer("second", second_turn(side).float(), persistent=False)

    def forward(self, symbols: Tensor, thumbnails: Tensor, log2_step: Tensor) -> Tensor:
        """Return log2 of each symbol's standard deviation, in symbols, [N, C, S, S].

        Args:
            symbols: whole-numbered [N, C, S, S].
            thumbnails: what z draws, [N, 3, S, S].
            log2_step: log2 of the grid's step size in units of its latents, [N].
        """
        return self.widths(symbols.abs().clamp_max(MAGNITUDE_CAP), thumbnails, log2_step)

    def widths(self, magnitudes: Tensor, thumbnails: Tensor, log2_step: Tensor) -> Tensor:
        """As `forward`, from magnitudes up to `MAGNITUDE_CAP`; differentiable in them."""
        h = F.conv2d(magnitudes, self.before.weight * self.mask, self.before.bias, padding=1)
        h = h + self.tell * log2_step[:, None, None, None]
        h = h + self.look3(F.relu(self.look2(F.relu(self.look1(thumbnails)))))
        first, second = h.chunk(2, dim=1)
        h = torch.stack((first, second + self.own(magnitudes * (1 - self.second))), 1)
        h = F.relu(h).unflatten(2, (self.channels, self.hidden))  # [N, 2, C, H, S, S]
        one, two = ((h * self.out[:, :, :, None, None]).sum(3) + self.out_bias[:, :, None, None]).unbind(1)
        return self.place + torch.where(self.second > 0, two, one)

    @torch.no_grad()
    def round_weights(self) -> None:
        """Round all weights to the multiples that decoders compute with."""
        for weight in self.parameters():
            weight.copy_((weight.double() * WEIGHT_UNIT).round() / WEIGHT_UNIT)
