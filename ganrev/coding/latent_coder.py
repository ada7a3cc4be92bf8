"""From symbols of latents to a `.gr` file and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import constriction
import numpy as np
import torch
from torch import Tensor

from ganrev.coding import backends, container, range_coder
from ganrev.coding.backends import Entropy, Range
from ganrev.coding.container import Container
from ganrev.coding.frame import CorruptFileError
from ganrev.coding.grid_coder import GridCoder
from ganrev.coding.grouped import Decoder
from ganrev.coding.quantiser import SYMBOL_LIMIT, dequantise
from ganrev.generator.base import Generator, Levels

_FILES_AT_ONCE = 16  # whose grids are read together: some 2 MB each


@dataclass(frozen=True)
class _OpenFile:
    """A file that is read up to the end of z.

    Attributes:
        step_size: as it stores it.
        symbols: of z, int32 [D] (float32 latents where the step size is 0).
        z: dequantised, float32 [D].
        decoder: of what follows; None where nothing does.
    """

    step_size: float
    symbols: np.ndarray
    z: Tensor
    decoder: Decoder | None


class LatentCoder:
    """Codes the latents of one generator; it uses what was measured of them, but no pictures and no losses.

    Args:
        generator: whose latents they are. Files name it by its digest, and the range coder takes from its statistics
            how widely symbols spread; it is never run.
        back_end: of the files that are written; a file that is read names its own.
        scaled: whether the step size of files that are written multiplies each latent's own; otherwise it is that of
            all latents, in units of z.
        levels: whether files that are written hold z alone, or `all` latents, of which D there are.

    Raises:
        ValueError: the generator has no latents beyond z, or the files cannot hold them.
    """

    def __init__(self, generator: Generator, back_end: Entropy, scaled: bool, levels: Levels = "z") -> None:
        self.generator, self.back_end, self.scaled, self.levels = generator, back_end, scaled, levels
        self.num_latents = generator.num_latents(levels)
        if levels == "all" and not (scaled and isinstance(back_end, Range) and back_end.model == "fitted"):
            raise ValueError("latent=all needs quant=rd or quant=scaled, entropy=range and entropy.model=fitted")

    def check(self, step_size: float, prices: bool = False) -> None:
        """Raise ValueError for a step size that the back end or the symbols' 16 bits cannot carry.

        Args:
            step_size: as a file stores it, 0 for float32 latents.
            prices: whether code lengths must be known before a file is written.
        """
        if step_size == 0:
            if not self.back_end.takes_floats:
                raise ValueError("entropy=range codes integer symbols; quant=none needs another, such as entropy=bz2")
            return
        if prices:
            self.back_end.codes(np.zeros(1, np.int32), np.zeros(1, np.int64))
        narrowest = float(torch.as_tensor(self.step_sizes(step_size)).min())
        reach, needed = narrowest * SYMBOL_LIMIT, 8 * self.generator.prior_std
        if reach < needed:
            raise ValueError(
                f"the step is {narrowest:.3g} in units of z, and symbols of 16 bits would not reach the latents; "
                f"make quant.step at least {needed / reach:.2g} times as large, or take quant=none"
            )

    def step_sizes(
        self, step_size: float | Tensor, scaled: bool | None = None, levels: Levels | None = None
    ) -> float | Tensor:
        """Return the step size of each latent in units of latents.

        Args:
            step_size: as a file stores it, or as that of each lane would, float32 [L].
            scaled: whether that multiplies each latent's own; None for what this coder writes.
            levels: of the latents; None for those that this coder writes.

        Returns:
            Float32 [D], or [L, D] for lanes; the step size itself where it is that of all latents.
        """
        if self.scaled if scaled is None else scaled:
            num_latents = self.generator.num_latents(levels or self.levels)
            return torch.as_tensor(step_size)[..., None] * self.generator.relative_step_sizes(num_latents)
        return step_size

    def write(self, symbols: np.ndarray, step_size: float) -> bytes:
        """Return the `.gr` file of int32 symbols [D] (float32 latents where the step size is 0).

        Where all symbols beyond z are zero it is a file of z alone.
        """
        fingerprint = container.fingerprint(self.generator.digest)
        z, grid = np.split(symbols, [self.generator.latent_dim])
        if grid.any():
            payload = self._write_all(z, grid, step_size)
            return container.write(Container(self.back_end.code, step_size, fingerprint, payload, True, has_grid=True))
        payload = self.back_end.encode(z, self._scale_codes(step_size, self.scaled))
        return container.write(Container(self.back_end.code, step_size, fingerprint, payload, self.scaled))

    def _write_all(self, z: np.ndarray, grid: np.ndarray, step_size: float) -> bytes:
        """Return the payload of the symbols of z int32 [D] and of the grid."""
        scales = self._scale_codes(step_size, True)
        offset = range_coder.best_offset(z, scales)
        codes = range_coder.shifted(scales, offset)
        encoder = constriction.stream.queue.RangeEncoder()
        range_coder.encode_symbols(encoder, z, codes)
        coder = self._grid_coder
        coder.encode(encoder, grid.reshape(coder.shape), self._dequantised_z(z, step_size), step_size)
        return bytes([offset + 128]) + range_coder.trim(encoder)

    def read(self, blob: bytes) -> Tensor:
        """Return the dequantised latents of a `.gr` file, float32: of z alone, or of all levels.

        Raises:
            ganrev.coding.frame.ContainerError: the file is corrupt, foreign, or made with other weights.
        """
        return self.read_several([blob])[0]

    def read_several(self, blobs: Sequence[bytes]) -> list[Tensor]:
        """As `read`, of several files, whose grids are read together: that takes less time than one by one."""
        files = [self._open(blob) for blob in blobs]
        latents = [file.z for file in files]
        with_grid = [i for i, file in enumerate(files) if file.decoder is not None]
        for start in range(0, len(with_grid), _FILES_AT_ONCE):
            part = with_grid[start : start + _FILES_AT_ONCE]
            for i, read in zip(part, self._read_grids([files[i] for i in part]), strict=True):
                latents[i] = read
        return latents

    def _open(self, blob: bytes) -> _OpenFile:
        """Read a file up to the end of z."""
        content = container.read(blob)
        container.check_generator(content, self.generator.digest)
        back_end = backends.by_code(content.entropy_code)
        decoder = None
        try:
            if content.has_grid:
                decoder, symbols = self._open_grid(content, back_end)
            else:
                symbols = back_end.decode(content.payload, self._scale_codes(content.step_size, content.scaled))
        except ValueError as error:
            raise CorruptFileError(str(error)) from error
        if (symbols.dtype == np.float32) != (content.step_size == 0):
            raise CorruptFileError("the .gr file's step and its symbols contradict each other")
        z = dequantise(torch.from_numpy(symbols), self.step_sizes(content.step_size, content.scaled, "z"))
        return _OpenFile(content.step_size, symbols, _finite(z), decoder)

    def _open_grid(self, content: Container, back_end: Entropy) -> tuple[Decoder, np.ndarray]:
        """Return the decoder of a file with a grid after z, and z's symbols; ValueError for a damaged payload."""
        if self.generator.grid is None or not isinstance(back_end, Range) or back_end.model != "fitted":
            raise ValueError("the .gr file holds latents beyond z, which this generator and back end do not have")
        if not content.payload:
            raise ValueError("payload is empty: its first byte should say how wide its symbols spread")
        codes = range_coder.shifted(self._scale_codes(content.step_size, True), content.payload[0] - 128)
        decoder = range_coder.start_decoder(content.payload[1:])
        return decoder, range_coder.decode_symbols(decoder, codes)

    def _read_grids(self, files: Sequence[_OpenFile]) -> list[Tensor]:
        """Return the dequantised latents of files that have a grid, each float32 [D]."""
        decoders = [file.decoder for file in files if file.decoder is not None]
        try:
            grids = self._grid_coder.decode(
                decoders, torch.stack([file.z for file in files]), [file.step_size for file in files]
            )
        except ValueError as error:
            raise CorruptFileError(str(error)) from error
        symbols = [np.concatenate((file.symbols, grid.ravel())) for file, grid in zip(files, grids, strict=True)]
        return [
            _finite(dequantise(torch.from_numpy(row), self.step_sizes(file.step_size, True, "all")))
            for file, row in zip(files, symbols, strict=True)
        ]

    def _dequantised_z(self, symbols: np.ndarray, step_size: float) -> Tensor:
        """Return z as the decoder of a file will know it, float32 [D]."""
        return dequantise(torch.from_numpy(symbols), self.step_sizes(step_size, True, "z"))

    @cached_property
    def _grid_coder(self) -> GridCoder:
        return GridCoder(self.generator)

    def codes(self, symbols: Tensor, step_sizes: Tensor) -> np.ndarray:
        """Return the scale code under which each symbol of int32 [L, D] would be coded, int64 [L, D].

        Args:
            symbols: of each lane.
            step_sizes: float32 [L], as each lane's file would store it.

        Raises:
            ValueError: with this back end the code length of a symbol depends on the others.
        """
        pairs = zip(symbols.cpu().numpy(), step_sizes.tolist(), strict=True)
        return np.stack([self._codes_of(row, size) for row, size in pairs])

    def _codes_of(self, symbols: np.ndarray, step_size: float) -> np.ndarray:
        """Return the scale codes int64 [D] of one lane's symbols."""
        z, grid = np.split(symbols, [self.generator.latent_dim])
        codes = self.back_end.codes(z, self._scale_codes(step_size, True))
        if not len(grid):
            return codes
        coder = self._grid_coder
        of_grid = coder.scale_codes(grid.reshape(coder.shape), self._dequantised_z(z, step_size), step_size)
        return np.concatenate((codes, of_grid.ravel()))

    def z_codes(self, symbols: Tensor, step_sizes: Tensor) -> np.ndarray:
        """As `codes`, of the symbols of z alone [L, latent_dim]."""
        pairs = zip(symbols.cpu().numpy(), step_sizes.tolist(), strict=True)
        return np.stack([self.back_end.codes(row, self._scale_codes(size, True)) for row, size in pairs])

    def num_bytes(self, symbols: Tensor, step_sizes: Tensor) -> Tensor:
        """Return the ideal size of each lane's payload in bytes, float32 [L]; arguments and errors as for `codes`."""
        lengths = CodeLengths(self.codes(symbols, step_sizes), int(symbols.abs().max()), symbols.device)
        return lengths.num_bytes(symbols)

    def _scale_codes(self, step_size: float, scaled: bool) -> np.ndarray:
        """Return how widely each symbol of z spreads, as the range coder's scale codes, int64 [D]."""
        deviations = self.generator.latent_deviations.numpy()
        in_z = np.broadcast_to(np.float32(self.step_sizes(step_size or 1, scaled, "z")), deviations.shape)
        return range_coder.scale_codes(deviations, in_z)


def _finite(latents: Tensor) -> Tensor:
    """Return latents; CorruptFileError where they are no finite numbers."""
    if not latents.isfinite().all():
        raise CorruptFileError("the .gr file holds latents that are no finite numbers")
    return latents


class CodeLengths:
    """Code lengths of symbols under the range coder's tables, as tensors.

    Args:
        codes: scale code of each symbol, int [L, D].
        largest: larger symbols count with its code length.
        device: of the symbols.
    """

    def __init__(self, codes: np.ndarray, largest: int, device: torch.device) -> None:
        kinds, place = np.unique(codes, return_inverse=True)
        table = np.stack([range_coder.code_lengths(int(code), largest) for code in kinds])
        self.table = torch.from_numpy(table).float().to(device)  # [K, 2 M + 1]
        self.place = torch.from_numpy(place.reshape(codes.shape)).to(device)
        self.largest = largest

    def bits(self, symbols: Tensor) -> Tensor:
        """Return the code length of each whole-numbered symbol [L, D], in bits."""
        index = (symbols.long() + self.largest).clamp(0, 2 * self.largest)
        return self.table[self.place, index]

    def num_bytes(self, symbols: Tensor) -> Tensor:
        """Return the ideal size of each lane's payload [L], in bytes."""
        return self.bits(symbols).sum(dim=1) / 8
