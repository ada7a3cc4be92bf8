"""Principal components of faces, each rounded with the same step size: the linear opponent of GAN reversal.

The components are orthonormal, so that an error in a coefficient is the same error in the picture, and a component
that hardly changes the picture rounds to zero and costs next to nothing. The encoder rounds towards zero: a smaller
symbol takes fewer bits. A file is nine bytes of header, then the range coder's payload:

| bytes | what |
| --- | --- |
| 0-1 | magic `PC` |
| 2 | version |
| 3-4 | step in grey levels, float16, little-endian |
| 5-6 | fingerprint: first two bytes of the SHA-256 of the basis |
| 7-8 | CRC-16 (CCITT) of everything else, little-endian |
| 9- | payload |
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from baselines.components import IMAGE_SIZE, Basis, load_basis
from baselines.search import Knobs, best_file
from ganrev.codecs.base import CodecIdentity, DescribedCodec, EncodeReport, check_blobs, check_images
from ganrev.coding.frame import CorruptFileError, Frame, NotAContainerError, WrongGeneratorError, fingerprint
from ganrev.coding.quantiser import SYMBOL_LIMIT
from ganrev.coding.range_coder import decode_with_scales, encode_with_scales, scale_codes
from ganrev.configuration.options import Count, Number, Whole, check_option, checked_options

VERSION = 1
FINGERPRINT_BYTES = 2
FRAME = Frame(".pca", b"PC", f"Be{FINGERPRINT_BYTES}s")
Rounding = Annotated[Number, Field(ge=0, le=0.5, description="a number from 0 to 0.5, plain rounding")]
ROUNDING = 0.34  # on validation faces 6 % fewer bytes at the PSNR of plain rounding, 20 % fewer at its SSIM


class PCA(DescribedCodec):
    """Rounds the coefficients of a basis, all with one step, and codes each by the Laplace law of its component.

    Args:
        basis: orthonormal components; pictures must have its size.
        step: distance between neighbouring values of a coefficient, in grey levels; rounded to float16. It alone
            sets the rate.
        rounding: what is added to a magnitude, in steps, before its fraction is dropped: 0.5 is plain rounding, less
            leaves a dead zone around zero. Only the encoder needs it; files do not store it.
        target_bytes: where it is given, `step` is not used: each picture gets the step whose file is not above this
            size and whose picture has the smallest mean squared error.

    Raises:
        ValueError: a step that a file or a symbol of 16 bits cannot hold, a rounding outside [0, 0.5], or no size.
    """

    suffix = ".pca"
    has_learned = True

    @checked_options("codec.")
    def __init__(
        self, basis: Basis, step: float, rounding: Rounding = ROUNDING, target_bytes: Count | None = None
    ) -> None:
        self.step, self.rounding = check_step(step, basis.image_size), rounding
        self.target_bytes = target_bytes
        self.basis, self.image_size, self.digest, self.card = basis, basis.image_size, basis.digest, basis.card
        self._mark = fingerprint(self.digest, FINGERPRINT_BYTES)

    def identity(self) -> CodecIdentity:
        """Return the step size as files store it, where all have the same, and the digest of the basis."""
        step_size = self.step if self.target_bytes is None else None
        return CodecIdentity(type(self).__name__.lower(), step_size=step_size, weights=self.digest)

    def encode_with_report(self, images: Tensor) -> EncodeReport:
        """Compress uint8 [N, 3, H, H] RGB, H the basis's size, to N `.pca` files.

        Raises:
            ganrev.codecs.BelowFloorError: no file of a picture is as small as `target_bytes`.
        """
        check_images(images, self.image_size)
        if not len(images):
            return EncodeReport([])
        pairs = zip(images, self.basis.coefficients(images), strict=True)
        return EncodeReport([self._encode_one(image, coefficients) for image, coefficients in pairs])

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Draw uint8 [N, 3, H, H] RGB from `.pca` files.

        Raises:
            ganrev.coding.frame.ContainerError: a file is corrupt, foreign, or made with another basis.
            ValueError: there is no file.
        """
        check_blobs(blobs)
        return torch.stack([self._draw(*self._read(blob)) for blob in blobs])

    def _scales(self, step: float) -> np.ndarray:
        """Return how widely each symbol spreads, as the range coder's scale codes, int64 [K]."""
        deviations = self.basis.deviations.numpy()
        return scale_codes(deviations, np.full_like(deviations, step))

    def _encode_one(self, image: Tensor, coefficients: Tensor) -> bytes:
        if self.target_bytes is None:
            return self._write(coefficients, self.step)
        return best_file(
            image,
            self.target_bytes,
            Knobs(ladder(self.basis.image_size)),
            lambda step, _: self._write(coefficients, step),
            lambda blob: self._draw(*self._read(blob)),
        )

    def _write(self, coefficients: Tensor, step: float) -> bytes:
        """Return the file of one picture's coefficients, float32 [K] in grey levels, at a step as files store it."""
        scaled = coefficients / step
        symbols = (scaled.sign() * (scaled.abs() + self.rounding).floor()).to(torch.int32)
        payload = encode_with_scales(symbols.numpy(), self._scales(step))
        return FRAME.write((VERSION, step, self._mark), payload)

    def _read(self, blob: bytes) -> tuple[float, bytes]:
        """Return step and payload of a file that this basis can draw."""
        FRAME.check_magic(blob)
        (version, step, mark), payload = FRAME.read(blob)
        if version != VERSION:
            raise NotAContainerError(f".pca version {version}, this program reads version {VERSION}; update ganrev")
        if mark != self._mark:
            raise WrongGeneratorError(
                f"the file was made with basis {mark.hex()}, this one is {self._mark.hex()}; decode with the faces, "
                "components and seed it was made with, and the cached basis of that machine"
            )
        if not (math.isfinite(step) and step > 0):
            raise CorruptFileError(f"the .pca file names the impossible step {step}")
        return step, payload

    def _draw(self, step: float, payload: bytes) -> Tensor:
        try:
            symbols = decode_with_scales(payload, self._scales(step))
        except ValueError as error:
            raise CorruptFileError(str(error)) from error
        return self.basis.draw(torch.from_numpy(symbols).float() * step)


def _bounds(image_size: int) -> tuple[float, float]:
    """Return the smallest and the largest step.

    Symbols of 16 bits must reach the largest coefficient that a picture can have, and a larger step than that
    coefficient leaves nothing to code.
    """
    largest = min(255 * math.sqrt(3) * image_size, float(np.finfo(np.float16).max))
    return largest / SYMBOL_LIMIT, largest


def ladder(image_size: int) -> list[float]:
    """Return the steps that a search for a size may take, as files store them, from the coarsest to the finest."""
    smallest, largest = _bounds(image_size)
    steps = np.geomspace(largest, smallest, 800)[1:-1]  # neighbours differ by 1.3 %, float16's precision is 0.1 %
    return [float(step) for step in steps.astype(np.float16)]


def check_step(step: object, image_size: int) -> float:
    """Return a step as the file stores it (float16); ValueError for no number, or one beyond the bounds."""
    smallest, largest = _bounds(image_size)
    expected = f"a number from {smallest:.3g} to {largest:.3g} grey levels"
    kind = Annotated[Number, Field(ge=smallest, le=largest, description=expected)]
    return float(np.float16(check_option(kind, "codec.step", step)))


@checked_options("codec.")
def load_pca(
    faces: Sequence[str | Path] | None,
    step: float,
    components: Count = 2048,
    rounding: Rounding = ROUNDING,
    seed: Whole = 0,
    target_bytes: Count | None = None,
) -> PCA:
    """Return the codec over a basis that is fitted once and kept in the cache.

    Args:
        faces: tar shards or folders of 128 x 128 pictures.
        step: in grey levels; it alone sets the rate.
        components: how many to keep, at most one per face.
        rounding: towards zero, by how much: see `PCA`.
        seed: of the fit's random start.
        target_bytes: of each file, at most; its step is searched for, and `step` is not used.

    Raises:
        ValueError: an option that cannot be used, faces that are missing, of another size or too few, or a damaged
            cache.
    """
    check_step(step, IMAGE_SIZE)  # now, not after the fit
    return PCA(load_basis(faces, components, seed), step, rounding, target_bytes)
