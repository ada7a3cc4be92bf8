"""The one idea: everything that compresses is a Codec."""

import bz2
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor


@runtime_checkable
class Codec(Protocol):
    """Compresses pictures, one file each.

    Quality, weights and device belong to the constructor; there is no state between calls. A blob is the whole
    file: what is on disk is what is counted.

    Attributes:
        suffix: of the files, with its dot (`.gr`, `.jpg`).
        image_size: side in pixels that pictures must have, or None for any.
    """

    suffix: str
    image_size: int | None

    def encode(self, images: Tensor) -> list[bytes]:
        """Compress uint8 [N, 3, H, W] RGB to N files.

        Raises:
            ValueError: another dtype or shape, or pictures that this codec cannot take.
        """
        ...

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Return uint8 [N, 3, H, W] RGB from N files, at least one, of one size of picture.

        Raises:
            ValueError: there is no file, a file is not one of this codec's, or their sizes differ.
        """
        ...


@dataclass(frozen=True)
class EncodeReport:
    """What encoding a batch of N pictures left.

    Attributes:
        blobs: the N files.
        trace: arrays by name, as `ganrev.reversal.trace.Trace.arrays` gives them; empty for a codec that leaves none.
        choices: what the codec chose for each picture, by the columns `chosen_…` of a run's rows without that prefix;
            empty for a codec that chooses nothing.
        remarks: the same in words, a line for each picture.
        seconds: that encoding took, where it was not done within this call.
    """

    blobs: list[bytes]
    trace: Mapping[str, np.ndarray] = field(default_factory=dict)
    choices: Sequence[Mapping[str, object]] = ()
    remarks: Sequence[str] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class CodecIdentity:
    """What can change a codec's results apart from its configuration; a part of the run's identity.

    Attributes:
        name: of the codec, in lower case; the run's folder begins with it.
        step_size: distance between neighbouring values as the file stores it; None for a codec without one.
        precision: name of the dtype that the encoder computes in; None where there is no choice.
        weights: SHA-256 of all that the decoder has learned, hexadecimal; None for a codec that has learned nothing.
    """

    name: str
    step_size: float | None = None
    precision: str | None = None
    weights: str | None = None


class DescribedCodec(ABC):
    """A codec that reports more than its files. The harness asks for it; a codec with nothing to add need not derive.

    Attributes:
        suffix: as in `Codec`.
        image_size: as in `Codec`.
        has_learned: whether it was trained on pictures, so that scores on those would flatter it.
        card: the model card, JSON, that lists the pictures trained on; None where there is none.
    """

    suffix: str
    image_size: int | None
    has_learned: bool = False
    card: Path | None = None

    @abstractmethod
    def encode_with_report(self, images: Tensor) -> EncodeReport:
        """Compress uint8 [N, 3, H, W] RGB to N files, with a report; raises what `Codec.encode` does."""

    @abstractmethod
    def decode(self, blobs: list[bytes]) -> Tensor:
        """Return uint8 [N, 3, H, W] RGB, as `Codec.decode` does."""

    def encode(self, images: Tensor) -> list[bytes]:
        """Compress uint8 [N, 3, H, W] RGB to N files, as `Codec.encode` does."""
        return self.encode_with_report(images).blobs

    def identity(self) -> CodecIdentity:
        """Return what can change its results apart from its configuration."""
        return CodecIdentity(type(self).__name__.lower())

    def bytes_for_paper(self, blob: bytes) -> int:
        """Count a file's bytes as the paper does: those of the bzip2'd file."""
        return len(bz2.compress(blob, 9))


class _Undescribed(DescribedCodec):
    """A codec that offers encode, decode, suffix and image_size, and no more."""

    def __init__(self, codec: Codec) -> None:
        self.codec, self.suffix, self.image_size = codec, codec.suffix, codec.image_size

    def encode_with_report(self, images: Tensor) -> EncodeReport:
        return EncodeReport(self.codec.encode(images))

    def decode(self, blobs: list[bytes]) -> Tensor:
        return self.codec.decode(blobs)

    def identity(self) -> CodecIdentity:
        return CodecIdentity(type(self.codec).__name__.lower())


def described(codec: Codec) -> DescribedCodec:
    """Return a codec with all that the harness may ask for; where it says nothing, the defaults of `DescribedCodec`."""
    return codec if isinstance(codec, DescribedCodec) else _Undescribed(codec)


class BelowFloorError(ValueError):
    """No file of a picture is as small as asked for; the message names the smallest.

    Args:
        target_bytes: what was asked for.
        floor_bytes: of the smallest file that the codec can make of the picture.
    """

    def __init__(self, target_bytes: int, floor_bytes: int) -> None:
        super().__init__(
            f"no file of this picture has {target_bytes} bytes or less: this codec's floor for it is {floor_bytes} "
            f"bytes; ask for codec.target_bytes={floor_bytes} or more"
        )

    @staticmethod
    def floor_in(reason: str) -> int | None:
        """Return the floor that a stored message of this error names, in bytes; None for another message."""
        match = re.search(r"this codec's floor for it is ([0-9]+) bytes", reason)
        return int(match[1]) if match else None


class UnavailableError(ValueError):
    """A codec cannot be used here: its package or its weights are missing; the message says how to get them."""


def check_images(images: Tensor, image_size: int | None = None) -> None:
    """Raise ValueError unless `images` is uint8 [N, 3, H, W], of the given side where one is asked for."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"expected uint8 pictures [N, 3, H, W] in RGB, got {str(images.dtype)[6:]} {list(images.shape)}"
        )
    if image_size is not None and tuple(images.shape[-2:]) != (image_size, image_size):
        raise ValueError(
            f"this codec draws {image_size} x {image_size} pictures, got {images.shape[-2]} x {images.shape[-1]}; "
            "crop or resize them first (ganrev.pixels.resize)"
        )


def check_blobs(blobs: list[bytes]) -> None:
    """Raise ValueError where there is nothing to decode, or what is no list of whole files."""
    if isinstance(blobs, bytes | str) or not all(isinstance(blob, bytes) for blob in blobs):
        kind = type(blobs if isinstance(blobs, bytes | str) else next(b for b in blobs if not isinstance(b, bytes)))
        raise ValueError(f"expected a list of the bytes of files, got {kind.__name__}; [Path(...).read_bytes()] is one")
    if not blobs:
        raise ValueError("expected at least one file to decode, got none")
