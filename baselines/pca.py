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

    Raises:
        ValueError: a step that a file or a symbol of 16 bits cannot hold, or a rounding outside [0, 0.5].
    """

    suffix = ".pca"
    has_learned = True

    @checked_options("codec.")
    def __init__(self, basis: Basis, step: float, rounding: Rounding = ROUNDING) -> None:
        self.step, self.rounding = check_step(step, basis.image_size), rounding
        self.basis, self.image_size, self.digest, self.card = basis, basis.image_size, basis.digest, basis.card
        self._mark = fingerprint(self.digest, FINGERPRINT_BYTES)

    def identity(self) -> CodecIdentity:
        """Return the step size as files store it, and the digest of the basis."""
        return CodecIdentity(type(self).__name__.lower(), step_size=self.step, weights=self.digest)

    def encode_with_report(self, images: Tensor) -> EncodeReport:
        """Compress uint8 [N, 3, H, H] RGB, H the basis's size, to N `.pca` files."""
        check_images(images, self.image_size)
        if not len(images):
            return EncodeReport([])
        coefficients = self.basis.coefficients(images) / self.step
        symbols = (coefficients.sign() * (coefficients.abs() + self.rounding).floor()).to(torch.int32)
        scales = self._scales(self.step)
        return EncodeReport([self._write(encode_with_scales(row, scales)) for row in symbols.numpy()])

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

    def _write(self, payload: bytes) -> bytes:
        return FRAME.write((VERSION, self.step, self._mark), payload)

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


def check_step(step: object, image_size: int) -> float:
    """Return a step as the file stores it (float16).

    Raises:
        ValueError: no number, or beyond the bounds: symbols of 16 bits must reach the largest coefficient that a
            picture can have, and a larger step than that coefficient leaves nothing to code.
    """
    largest = min(255 * math.sqrt(3) * image_size, float(np.finfo(np.float16).max))
    smallest = largest / SYMBOL_LIMIT
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
) -> PCA:
    """Return the codec over a basis that is fitted once and kept in the cache.

    Args:
        faces: tar shards or folders of 128 x 128 pictures.
        step: in grey levels; it alone sets the rate.
        components: how many to keep, at most one per face.
        rounding: towards zero, by how much: see `PCA`.
        seed: of the fit's random start.

    Raises:
        ValueError: an option that cannot be used, faces that are missing, of another size or too few, or a damaged
            cache.
    """
    check_step(step, IMAGE_SIZE)  # now, not after the fit
    return PCA(load_basis(faces, components, seed), step, rounding)
