"""Coding the symbols of a grid, whose widths depend on what is decoded before them.

The prior of `ganrev.generator.grid_prior` is computed here in whole numbers, which every machine computes alike: they
are held as float64, and products and sums stay below 2^53, so that any order of adding, any number of threads and any
instruction set give the same result. Nothing but additions, multiplications, comparisons and floor divisions by powers
of two happens to them.
"""

from collections.abc import Callable, Sequence

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

# Which file, a group, its turn, and scale codes [G, P]; gives the symbols there, [G, P].
Turn = Callable[[int, slice, int, np.ndarray], np.ndarray]


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
        # Which places of each turn read what is at a place: of groups before, and of the first turn of their own.
        self._readers = [_readers(self.side, 1, places) for places in self.turns]
        self._own_readers = _readers(self.side, 2, self.turns[1])
        self._unit_bits = _sixteen_bits(float(grid.unit_step))
        weight, bias = generator.thumbnail_map(self.side)
        weight, bias = weight.detach().cpu(), bias.detach().cpu()
        self._map = (weight * _MAP_UNIT).round(), (bias * _MAP_UNIT * _Z_UNIT).round()
        self._read_prior(prior)

    def _read_prior(self, prior: GridPrior) -> None:
        """Take the weights of the prior as whole numbers."""
        channels, hidden = prior.channels, prior.hidden
        before = _whole(prior.before.weight * prior.mask).view(2, channels, hidden, channels, 9)
        self._before = [  # by turn, from each group's magnitudes around a place to later channels' hidden units
            [of_turn[group.stop :, :, group].flatten(2).flatten(0, 1).T.contiguous() for of_turn in before]
            for group in self.groups
        ]
        self._bias, self._tell = _whole(prior.before.get_parameter("bias")), _whole(prior.tell)[:, 0, 0]
        self._own = _whole(prior.own.weight).view(channels, hidden, -1).mT.contiguous()
        self._look = [(_whole(conv.weight), _whole(conv.get_parameter("bias"))) for conv in (prior.look1, prior.look2)]
        self._seen = _whole(prior.look3.weight).flatten(1).chunk(2)
        # From the hidden units of a group's channels to these: of each channel to itself alone.
        out = _whole(prior.out)
        self._out = [[torch.block_diag(*of_turn[group, :, None]) for of_turn in out] for group in self.groups]
        self._out_bias, self._place = _whole(prior.out_bias), _whole(prior.place).flatten(1).T.contiguous()
        self._units = channels, hidden

    def encode(self, encoder: Encoder, symbols: np.ndarray, z: Tensor, step_size: float) -> None:
        """Code symbols int32 [C, S, S] into a stream, given dequantised z float32 [D] and the file's step size."""

        def write(_file: int, group: slice, turn: int, codes: np.ndarray) -> np.ndarray:
            here = symbols[group].reshape(len(codes), -1)[:, self.turns[turn].numpy()]
            encode_grouped(encoder, here.ravel(), codes.ravel())
            return here

        self._walk(z[None], [step_size], write)

    def decode(self, decoders: Sequence[Decoder], z: Tensor, step_sizes: Sequence[float]) -> np.ndarray:
        """Undo `encode` for several files at once: int32 [N, C, S, S]; ValueError where no encoder wrote a stream.

        Args:
            decoders: of N files.
            z: dequantised, float32 [N, D].
            step_sizes: of the files, N.
        """

        def read(file: int, group: slice, turn: int, codes: np.ndarray) -> np.ndarray:
            return decode_grouped(decoders[file], codes.ravel()).reshape(codes.shape)

        with range_coder.payload_errors():
            return self._walk(z, step_sizes, read)

    def scale_codes(self, symbols: np.ndarray, z: Tensor, step_size: float) -> np.ndarray:
        """Return the scale code of each of the symbols int32 [C, S, S], int64 [C, S, S]; arguments as for `encode`."""
        found = np.zeros((self.shape[0], self.side**2), np.int64)

        def look_up(_file: int, group: slice, turn: int, codes: np.ndarray) -> np.ndarray:
            places = self.turns[turn].numpy()
            found[group, places] = codes
            return symbols[group].reshape(len(codes), -1)[:, places]

        self._walk(z[None], [step_size], look_up)
        return found.reshape(self.shape)

    def _walk(self, z: Tensor, step_sizes: Sequence[float], turn: Turn) -> np.ndarray:
        """Visit all turns of N files in coding order; returns the symbols that `turn` gave, int32 [N, C, S, S]."""
        sums = self._start(z, step_sizes)
        symbols = torch.zeros(len(z), self.shape[0], self.side**2, dtype=torch.float64)
        for number, group in enumerate(self.groups):
            for which, places in enumerate(self.turns):
                codes = self._codes(sums[which], symbols[:, group] if which else None, number)
                given = [turn(i, group, which, of_file) for i, of_file in enumerate(codes)]
                symbols[:, group, places] = torch.from_numpy(np.stack(given).astype(np.float64))
            for of_turn, weight, readers in zip(sums, self._before[number], self._readers, strict=True):
                _tell_later(of_turn[:, group.stop :], symbols[:, group], weight, readers)
        return symbols.numpy().astype(np.int32).reshape(-1, *self.shape)

    def _start(self, z: Tensor, step_sizes: Sequence[float]) -> list[Tensor]:
        """Return the sums of the hidden units before any symbol is known: of each turn, [N * P, C, H]."""
        weight, bias = self._map
        whole = (z.cpu().double() * _Z_UNIT).round().clamp(-_Z_LIMIT, _Z_LIMIT)
        h = torch.floor((whole @ weight.T + bias) / (_MAP_UNIT * _Z_UNIT // _UNIT)).view(-1, 3, self.side, self.side)
        for conv, bias in self._look:
            patches = F.unfold(h, conv.shape[-1], padding=conv.shape[-1] // 2)
            h = torch.floor((conv.flatten(1) @ patches) / _UNIT) + bias[:, None]
            h = h.clamp_min(0).view(len(z), -1, self.side, self.side)
        steps = torch.tensor([_sixteen_bits(size) - self._unit_bits for size in step_sizes], dtype=torch.float64)
        told = torch.floor(steps[:, None] * self._tell / _LOG_UNIT) + self._bias
        sums = []
        for places, seen, of_files in zip(self.turns, self._seen, told.chunk(2, dim=1), strict=True):
            of_turn = h.flatten(2)[:, :, places].mT @ seen.T  # [N, P, C * H]
            sums.append(of_turn.div_(_UNIT).floor_().add_(of_files[:, None]).view(-1, *self._units))
        return sums

    def _codes(self, sums: Tensor, first: Tensor | None, number: int) -> np.ndarray:
        """Return a group's scale codes at the places of a turn, [N, G, P].

        Args:
            sums: of the hidden units, [N * P, C, H].
            first: symbols of the first turn [N, G, S * S], in the second.
            number: of the group.
        """
        turn, group = 0 if first is None else 1, self.groups[number]
        h = sums[:, group]
        if first is not None:
            at, channels, offsets, magnitudes = _told(first, self._own_readers, len(self.turns[1]))
            told = self._own[group][channels, offsets] * magnitudes[:, None]
            # In place, which may change the sums: those of a second turn are not read again.
            h = h.flatten(0, 1).index_add_(0, at * first.shape[1] + channels, told).view(h.shape)
        log2_deviation = (h.clamp_min(0).flatten(1) @ self._out[number][turn]).div_(_UNIT).floor_()
        places = self.turns[turn]
        log2_deviation = log2_deviation.view(-1, len(places), log2_deviation.shape[1])
        log2_deviation += self._out_bias[turn, group] + self._place[places, group]
        codes = torch.floor((log2_deviation * range_coder.CODES_PER_OCTAVE + _UNIT // 2) / _UNIT)
        return codes.clamp_(range_coder.LOWEST, range_coder.HIGHEST).mT.numpy().astype(np.int64)


def _tell_later(sums: Tensor, symbols: Tensor, weight: Tensor, readers: Tensor) -> None:
    """Add what a group's symbols tell the channels after it, in place: most are zero, and only others are read.

    Args:
        sums: of the hidden units of these channels at the places of a turn, [N * P, C', H].
        symbols: of the group, [N, G, S * S].
        weight: from the group's magnitudes around a place, [9 * G, C' * H].
        readers: which of the turn's places read what at each place.
    """
    if not weight.numel():
        return
    at, channels, offsets, magnitudes = _told(symbols, readers, len(sums) // len(symbols))
    where = torch.stack((at, 9 * channels + offsets))
    told = torch.sparse_coo_tensor(where, magnitudes, (len(sums), len(weight)), check_invariants=False)
    sums += torch.sparse.mm(told, weight).view(sums.shape)


def _readers(side: int, radius: int, places: Tensor) -> Tensor:
    """Return which of some places [P] reads what is at each place at each offset of its neighbourhood.

    Returns:
        Int64 [S * S, (2 r + 1) ^ 2]: the index of the place that reads, or -1.
    """
    numbers = torch.arange(side**2, dtype=torch.float64).add_(1).view(1, 1, side, side)
    read = F.unfold(numbers, 2 * radius + 1, padding=radius)[0].long()[:, places] - 1  # by each, [offsets, P]
    readers = torch.full((side**2, len(read)), -1)
    for offset, by_places in enumerate(read):
        inside = by_places >= 0
        readers[by_places[inside], offset] = inside.nonzero()[:, 0]
    return readers


def _told(symbols: Tensor, readers: Tensor, num_places: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return where symbols other than zero are read, and what is: rows, channels, offsets and magnitudes, [M] each.

    Args:
        symbols: [N, G, S * S].
        readers: which of P places reads each, [S * S, offsets].
        num_places: P; rows are those of [N * P].
    """
    files, channels, places = symbols.nonzero(as_tuple=True)
    magnitudes = symbols[files, channels, places].abs().clamp_max(MAGNITUDE_CAP)
    by = readers[places]
    which, offsets = (by >= 0).nonzero(as_tuple=True)
    return files[which] * num_places + by[which, offsets], channels[which], offsets, magnitudes[which]


def codes_of_deviations(log2_deviations: Tensor) -> Tensor:
    """Return the scale codes, int64, of logarithms of deviations in symbols."""
    codes = (log2_deviations * range_coder.CODES_PER_OCTAVE).round()
    return codes.clamp(range_coder.LOWEST, range_coder.HIGHEST).long()


def _whole(weight: Tensor) -> Tensor:
    return (weight.detach().cpu().double() * _UNIT).round()


def _sixteen_bits(step_size: float) -> int:
    """Return the bits of a bfloat16: its logarithm in steps of 1/128 octave, piecewise linear."""
    return int(np.float32(step_size).view(np.int32)) >> 16
