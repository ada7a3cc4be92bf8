"""From symbols of latents to a `.gr` file and back."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganrev.coding import backends, container, range_coder
from ganrev.coding.backends import Entropy
from ganrev.coding.container import Container
from ganrev.coding.frame import CorruptFileError
from ganrev.coding.quantiser import SYMBOL_LIMIT, dequantise
from ganrev.generator.base import Generator


@dataclass(frozen=True)
class LatentCoder:
    """Codes the latents of one generator; it uses what was measured of them, but no pictures and no losses.

    Attributes:
        generator: whose latents they are. Files name it by its digest, and the range coder takes from its statistics
            how widely symbols spread; it is never run.
        back_end: of the files that are written; a file that is read names its own.
        scaled: whether the step size of files that are written multiplies each latent's own; otherwise it is that of
            all latents, in units of z.
    """

    generator: Generator
    back_end: Entropy
    scaled: bool

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

    def step_sizes(self, step_size: float | Tensor, scaled: bool | None = None) -> float | Tensor:
        """Return the step size of each latent in units of z.

        Args:
            step_size: as a file stores it, or as that of each lane would, float32 [L].
            scaled: whether that multiplies each latent's own; None for what this coder writes.

        Returns:
            Float32 [D], or [L, D] for lanes; the step size itself where it is that of all latents.
        """
        if self.scaled if scaled is None else scaled:
            return torch.as_tensor(step_size)[..., None] * self.generator.latent_step_sizes
        return step_size

    def write(self, symbols: np.ndarray, step_size: float) -> bytes:
        """Return the `.gr` file of int32 symbols [D] (float32 latents where the step size is 0)."""
        payload = self.back_end.encode(symbols, self._scale_codes(step_size, self.scaled))
        fingerprint = container.fingerprint(self.generator.digest)
        return container.write(Container(self.back_end.code, step_size, fingerprint, payload, self.scaled))

    def read(self, blob: bytes) -> Tensor:
        """Return the dequantised latents of a `.gr` file, float32 [D].

        Raises:
            ganrev.coding.frame.ContainerError: the file is corrupt, foreign, or made with other weights.
        """
        content = container.read(blob)
        container.check_generator(content, self.generator.digest)
        back_end = backends.by_code(content.entropy_code)
        try:
            symbols = back_end.decode(content.payload, self._scale_codes(content.step_size, content.scaled))
        except ValueError as error:
            raise CorruptFileError(str(error)) from error
        if (symbols.dtype == np.float32) != (content.step_size == 0):
            raise CorruptFileError("the .gr file's step and its symbols contradict each other")
        z = dequantise(torch.from_numpy(symbols), self.step_sizes(content.step_size, content.scaled))
        if not z.isfinite().all():
            raise CorruptFileError("the .gr file holds latents that are no finite numbers")
        return z

    def codes(self, symbols: Tensor, step_sizes: Tensor) -> np.ndarray:
        """Return the scale code under which each symbol of int32 [L, D] would be coded, int64 [L, D].

        Args:
            symbols: of each lane.
            step_sizes: float32 [L], as each lane's file would store it.

        Raises:
            ValueError: with this back end the code length of a symbol depends on the others.
        """
        pairs = zip(symbols.cpu().numpy(), step_sizes.tolist(), strict=True)
        return np.stack([self.back_end.codes(row, self._scale_codes(size, True)) for row, size in pairs])

    def num_bytes(self, symbols: Tensor, step_sizes: Tensor) -> Tensor:
        """Return the ideal size of each lane's payload in bytes, float32 [L]; arguments and errors as for `codes`."""
        lengths = CodeLengths(self.codes(symbols, step_sizes), int(symbols.abs().max()), symbols.device)
        return lengths.num_bytes(symbols)

    def _scale_codes(self, step_size: float, scaled: bool) -> np.ndarray:
        """Return how widely each symbol spreads, as the range coder's scale codes, int64 [D]."""
        deviations = self.generator.latent_deviations.numpy()
        in_z = np.broadcast_to(np.float32(self.step_sizes(step_size or 1, scaled)), deviations.shape)
        return range_coder.scale_codes(deviations, in_z)


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
