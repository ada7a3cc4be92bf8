"""Coding the symbols of a grid, whose widths depend on what is decoded before them.

The prior of `ganrev.generator.grid_prior` is computed here in whole numbers, which every machine computes alike: they
are held as float64, and products and sums stay below 2^53, so that any order of adding, any number of threads and any
instruction set give the same result. Nothing but additions, multiplications, comparisons and floor divisions by powers
of two happens to them.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganrev.coding import range_coder
from ganrev.coding.grouped import Decoder, Encoder, decode_grouped, encode_grouped
from ganrev.generator.base import Generator
from ganrev.generator.grid_prior import MAGNITUDE_CAP, WEIGHT_UNIT, GridPrior, group_slices, second_turn

_UNIT = WEIGHT_UNIT  # a whole number of this size stands for one, in weights and in what they give
_Z_UNIT, _MAP_UNIT = 1 << 10, 1 << 14  # the same for z and for the map from z to its thumbnail
_Z_LIMIT = 1 << 20  # of |z| in its unit: what is beyond no picture needs, and sums stay exact
_LOG_UNIT = 128  # of step sizes' logarithms: bfloat16 has seven bits of mantissa

Turn = Callable[[slice, int, np.ndarray], np.ndarray]  # a group, its turn, scale codes [G, P]: the symbols there [G, P]


class GridCoder:
    """Codes the grid of one generator.

    Args:
        generator: with a grid.

    Attributes:
        shape: of the grid, [C, S, S].
    """

    def __init__(self, generator: Generator) -> None:
        grid = generator.grid
        if grid is None:
            raise ValueError(f"{type(generator).__name__} has no latents beyond z")
        self.shape, prior = grid.shape, grid.prior
        self.side = self.shape[1]
        self.groups = group_slices(self.shape[0])
        second = second_turn(self.side).flatten()
        self.turns = ((~second).nonzero()[:, 0], second.nonzero()[:, 0])  # the places of each
        self._reach = _reach(self.side, 1), _reach(self.side, 2)
        self._reach[1][:, ::2] = -1  # the second turn's places are at odd offsets from the first's
        self._unit_bits = _sixteen_bits(float(grid.unit_step))
        weight, bias = generator.thumbnail_map(self.side)
        weight, bias = weight.detach().cpu(), bias.detach().cpu()
        self._map = (weight * _MAP_UNIT).round(), (bias * _MAP_UNIT * _Z_UNIT).round()
        self._read_prior(prior)

    def _read_prior(self, prior: GridPrior) -> None:
        """Take the weights of the prior as whole numbers."""
        channels, hidden = prior.channels, prior.hidden
        before = _whole(prior.before.weight * prior.mask).view(2, channels, hidden, channels, 9)
        self._before = [  # from each group's magnitudes around a place to later channels' hidden units
            before[:, group.stop :, :, group].flatten(3).flatten(0, 2).T.contiguous() for group in self.groups
        ]
        self._bias, self._tell = _whole(prior.before.get_parameter("bias")), _whole(prior.tell)[:, 0, 0]
        self._own = _whole(prior.own.weight).view(channels, hidden, -1).mT.contiguous()
        self._look = [(_whole(conv.weight), _whole(conv.get_parameter("bias"))) for conv in (prior.look1, prior.look2)]
        self._seen = _whole(prior.look3.weight).flatten(1)
        self._out, self._out_bias = _whole(prior.out), _whole(prior.out_bias)
        self._place = _whole(prior.place).flatten(1).T.contiguous()
        self._maps = 2, channels, hidden

    def encode(self, encoder: Encoder, symbols: np.ndarray, z: Tensor, step_size: float) -> list[np.ndarray]:
        """Code symbols int32 [C, S, S] into a stream, given dequantised z float32 [D] and the file's step size.

        Returns:
            The scale codes of each turn, in the order of `decode_known`.
        """
        codes_of_turns = []

        def write(group: slice, turn: int, codes: np.ndarray) -> np.ndarray:
            here = symbols[group].reshape(len(codes), -1)[:, self.turns[turn].numpy()]
            encode_grouped(encoder, here.ravel(), codes.ravel())
            codes_of_turns.append(codes)
            return here

        self._walk(z, step_size, write)
        return codes_of_turns

    def decode(self, decoder: Decoder, z: Tensor, step_size: float) -> np.ndarray:
        """Undo `encode`: int32 [C, S, S]; ValueError where no encoder wrote the stream."""

        def read(group: slice, turn: int, codes: np.ndarray) -> np.ndarray:
            return decode_grouped(decoder, codes.ravel()).reshape(codes.shape)

        with range_coder.payload_errors():
            return self._walk(z, step_size, read)

    def decode_known(self, decoder: Decoder, codes_of_turns: list[np.ndarray]) -> np.ndarray:
        """Undo `encode` faster, where the scale codes are known already."""
        symbols = np.zeros((self.shape[0], self.side**2), np.int32)
        turns = iter(codes_of_turns)
        with range_coder.payload_errors():
            for group in self.groups:
                for places in self.turns:
                    codes = next(turns)
                    symbols[group, places.numpy()] = decode_grouped(decoder, codes.ravel()).reshape(codes.shape)
        return symbols.reshape(self.shape)

    def scale_codes(self, symbols: np.ndarray, z: Tensor, step_size: float) -> np.ndarray:
        """Return the scale code of each of the symbols int32 [C, S, S], int64 [C, S, S]; arguments as for `encode`."""
        found = np.zeros((self.shape[0], self.side**2), np.int64)

        def look_up(group: slice, turn: int, codes: np.ndarray) -> np.ndarray:
            places = self.turns[turn].numpy()
            found[group, places] = codes
            return symbols[group].reshape(len(codes), -1)[:, places]

        self._walk(z, step_size, look_up)
        return found.reshape(self.shape)

    def _walk(self, z: Tensor, step_size: float, turn: Turn) -> np.ndarray:
        """Visit all turns in coding order; returns the symbols that `turn` gave, int32 [C, S, S]."""
        sums = self._start(z, step_size)
        symbols = torch.zeros(self.shape[0], self.side**2, dtype=torch.float64)
        for group, weight in zip(self.groups, self._before, strict=True):
            for number, places in enumerate(self.turns):
                codes = self._codes(sums, symbols[group] if number else None, group)
                given = turn(group, number, codes.numpy().astype(np.int64))
                symbols[group, places] = torch.from_numpy(given.astype(np.float64))
            self._tell_later(sums, symbols[group], group, weight)
        return symbols.numpy().astype(np.int32).reshape(self.shape)

    def _start(self, z: Tensor, step_size: float) -> Tensor:
        """Return the sums of the hidden units before any symbol is known, [S * S, 2, C, H]."""
        weight, bias = self._map
        whole = (z.cpu().double() * _Z_UNIT).round().clamp(-_Z_LIMIT, _Z_LIMIT)
        h = torch.floor((weight @ whole + bias) / (_MAP_UNIT * _Z_UNIT // _UNIT)).view(1, 3, self.side, self.side)
        for conv, bias in self._look:
            patches = F.unfold(h, conv.shape[-1], padding=conv.shape[-1] // 2)[0]
            h = torch.floor((conv.flatten(1) @ patches) / _UNIT) + bias[:, None]
            h = h.clamp_min(0).view(1, -1, self.side, self.side)
        told = torch.floor(self._tell * (_sixteen_bits(step_size) - self._unit_bits) / _LOG_UNIT)
        seen = torch.floor((h.flatten(2)[0].T @ self._seen.T) / _UNIT)
        return seen.add_(self._bias + told).view(-1, *self._maps)

    def _tell_later(self, sums: Tensor, symbols: Tensor, group: slice, weight: Tensor) -> None:
        """Add what a group's symbols [G, S * S] tell the channels after it: most are zero, and only others are read."""
        if not weight.numel():
            return
        at, channels, offsets, magnitudes = _told_places(symbols, self._reach[0])
        shape = self.side**2, len(weight)
        where = torch.stack((at, 9 * channels + offsets))
        told = torch.sparse_coo_tensor(where, magnitudes, shape, check_invariants=False)
        later = sums[:, :, group.stop :]
        later += torch.sparse.mm(told, weight).view(later.shape)

    def _codes(self, sums: Tensor, first: Tensor | None, group: slice) -> Tensor:
        """Return a group's scale codes at the places of a turn, [G, P]; `first` holds the symbols of the first turn."""
        turn = 0 if first is None else 1
        h = sums[:, turn, group]  # [S * S, G, H]
        if first is not None:
            at, channels, offsets, magnitudes = _told_places(first, self._reach[1])
            told = self._own[group][channels, offsets] * magnitudes[:, None]
            h = h.flatten(0, 1).index_add(0, at * len(first) + channels, told).view(h.shape)
        places = self.turns[turn]
        h = h[places]
        log2_deviation = torch.floor((self._out[turn, group] * h.clamp_min(0)).sum(2) / _UNIT)
        log2_deviation = log2_deviation + self._out_bias[turn, group] + self._place[places, group]
        codes = torch.floor((log2_deviation * range_coder.CODES_PER_OCTAVE + _UNIT // 2) / _UNIT)
        return codes.clamp(range_coder.LOWEST, range_coder.HIGHEST).T


def _reach(side: int, radius: int) -> Tensor:
    """Return which place reads each place at each offset of its neighbourhood, int64 [S * S, (2 r + 1) ^ 2], or -1."""
    places = torch.arange(side**2, dtype=torch.float64).add_(1).view(1, 1, side, side)
    read = F.unfold(places, 2 * radius + 1, padding=radius)[0].long() - 1  # what each reads, [offsets, places]
    reach = torch.full((side**2, len(read)), -1)
    for offset, of_places in enumerate(read):
        inside = of_places >= 0
        reach[of_places[inside], offset] = inside.nonzero()[:, 0]
    return reach


def _told_places(symbols: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return where symbols [G, S * S] other than zero are read: places, channels, offsets and magnitudes, [M] each."""
    channels, places = symbols.nonzero(as_tuple=True)
    magnitudes = symbols[channels, places].abs().clamp_max(MAGNITUDE_CAP)
    at = reach[places]
    which, offsets = (at >= 0).nonzero(as_tuple=True)
    return at[which, offsets], channels[which], offsets, magnitudes[which]


def codes_of_deviations(log2_deviations: Tensor) -> Tensor:
    """Return the scale codes, int64, of logarithms of deviations in symbols."""
    codes = (log2_deviations * range_coder.CODES_PER_OCTAVE).round()
    return codes.clamp(range_coder.LOWEST, range_coder.HIGHEST).long()


def _whole(weight: Tensor) -> Tensor:
    return (weight.detach().cpu().double() * _UNIT).round()


def _sixteen_bits(step_size: float) -> int:
    """Return the bits of a bfloat16: its logarithm in steps of 1/128 octave, piecewise linear."""
    return int(np.float32(step_size).view(np.int32)) >> 16
