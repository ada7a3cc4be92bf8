"""Files of a given size, or of a given quality: move the price of a byte until they come out so."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganrev.gan import GanCodec
from ganrev.quantise import stored_step
from ganrev.ratedistortion import Effort
from ganrev.reversal import lane_rng

_NEAR = 0.98  # a size is hit from below where the file takes this share of it
_SEARCH = Effort(steps=100, lr=0.03, rounds=30)
_TOUCH_UP = Effort(steps=0, lr=0.03, rounds=25)
_SEARCHES, _TOUCHES = 3, 8
_CLOSE = 0.99  # a quality is hit where the distortion is this share of what is allowed
_FIRST_PRICE = 1e-4
_PRICES = (1e-7, 1.0)  # between which lambda is looked for
_SHRINKS, _WORSENS = 0.45, 0.12  # a file takes about lambda ** -0.45 bytes, and its distortion grows as lambda ** 0.12


@dataclass
class File:
    """A picture's best file so far, and between which prices of a byte a better one may lie."""

    lmbda: float
    low: float = _PRICES[0]
    high: float = _PRICES[1]
    step: float = 0.0
    symbols: Tensor | None = None
    blob: bytes = b""
    distortion: float = math.inf
    fits: bool = False
    hit: bool = False

    def move(self, dearer: bool, guess: float) -> None:
        """Set the next price: the guess, or the middle of what is left where the guess lies outside."""
        if dearer:
            self.low = max(self.low, self.lmbda)
        else:
            self.high = min(self.high, self.lmbda)
        self.lmbda = guess if self.low < guess < self.high else math.sqrt(self.low * self.high)

    def loosen(self) -> None:
        """Widen the bounds: found by one kind of search, they hold only nearly for another."""
        self.low, self.high = max(_PRICES[0], self.low / 3), min(_PRICES[1], self.high * 3)


class Fit:
    """Moves each picture's price of a byte until its file hits a size, from below, or a distortion.

    Args:
        codec: whose loss is the distortion, with `quant=rd`.
        images: uint8 [N, 3, S, S].
        z: their latents, float32 [N, D].
        target_bytes: size of a file; None where `limit` is what counts.
        limit: of the distortion.
    """

    def __init__(self, codec: GanCodec, images: Tensor, z: Tensor, target_bytes: int | None, limit: float) -> None:
        self.codec, self.images, self.z = codec, images, z
        self.target_bytes, self.limit = target_bytes, limit
        self.rngs = [lane_rng(codec.seed, image, 0) for image in images]
        self.files = [File(_FIRST_PRICE) for _ in images]

    def run(self) -> list[File]:
        """Return one file a picture."""
        for _ in range(_SEARCHES):
            self._try(self.z, [stored_step(file.lmbda) for file in self.files], _SEARCH)
        for file in self.files:
            file.loosen()
        for _ in range(_TOUCHES):
            if all(file.hit for file in self.files):
                break
            scaled = torch.stack([file.symbols * file.step for file in self.files])
            z = scaled.to(self.z.device) * self.codec.generator.latent_steps.to(self.z.device)
            self._try(z, [file.step for file in self.files], _TOUCH_UP)
        return self.files

    def _try(self, z: Tensor, steps: list[float], effort: Effort) -> None:
        """Search for symbols of each picture at its price, and learn from what they take and give."""
        prices = torch.tensor([file.lmbda for file in self.files])
        symbols = self.codec.weigh(z, self.images, self.rngs, torch.tensor(steps), prices, effort).cpu()
        distortions = self.codec.distortions(symbols, self.images, torch.tensor(steps)).tolist()
        for file, row, step, distortion in zip(self.files, symbols, steps, distortions, strict=True):
            if not file.hit:
                self._learn(file, row, step, distortion)

    def _learn(self, file: File, symbols: Tensor, step: float, distortion: float) -> None:
        blob = self.codec.write(symbols.numpy(), step)
        if self.target_bytes is not None:
            ratio = len(blob) / self.target_bytes
            fits, hit, better = ratio <= 1, _NEAR <= ratio <= 1, distortion < file.distortion
            file_smaller = len(blob) < len(file.blob)
            guess, dearer = file.lmbda * ratio ** (1 / _SHRINKS), ratio > 1
        else:
            ratio = distortion / self.limit
            fits, hit, better = ratio <= 1, _CLOSE <= ratio <= 1, len(blob) < len(file.blob)
            file_smaller = distortion < file.distortion
            guess, dearer = file.lmbda * ratio ** (-1 / _WORSENS), ratio <= 1
        # Before anything fits, what comes nearest is kept.
        if not file.blob or (fits and (better or not file.fits)) or (not fits and not file.fits and file_smaller):
            file.symbols, file.step, file.blob = symbols, step, blob
            file.distortion, file.fits, file.hit = distortion, fits, hit
        file.move(dearer, guess)
