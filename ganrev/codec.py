"""The one idea: everything that compresses is a Codec."""

from typing import Protocol

import torch
from torch import Tensor


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
    """Raise ValueError where there is nothing to decode: no picture, and no size of one."""
    if not blobs:
        raise ValueError("expected at least one file to decode, got none")
