"""Codecs that Pillow writes and reads: PNG and JPEG."""

import io
from typing import Annotated

import torch
from PIL import Image, UnidentifiedImageError
from pydantic import Field
from torch import Tensor

from ganrev.codecs.base import check_blobs, check_images
from ganrev.configuration.options import Whole, checked_options
from ganrev.pixels import from_pillow, to_pillow, to_png


def decode_pictures(blobs: list[bytes], kind: str) -> Tensor:
    """Decode files of one kind with Pillow to uint8 [N, 3, H, W].

    Raises:
        ValueError: there is no file, one is not of this kind or damaged, or their sizes differ.
    """
    check_blobs(blobs)
    pictures = []
    for number, blob in enumerate(blobs):
        try:
            with Image.open(io.BytesIO(blob), formats=[kind]) as picture:
                pictures.append(from_pillow(picture))
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"file {number} of {len(blobs)} is not a whole {kind} file: {error}") from error
    sizes = sorted({tuple(picture.shape[1:]) for picture in pictures})
    if len(sizes) > 1:
        raise ValueError(f"expected files of one size of picture, got heights and widths {sizes}; decode them apart")
    return torch.stack(pictures)


class PNG:
    """Lossless PNG, optimised: the reference of the compression ratio."""

    suffix = ".png"
    image_size = None

    def encode(self, images: Tensor) -> list[bytes]:
        """Return N PNG files of uint8 [N, 3, H, W]."""
        check_images(images)
        return [to_png(image) for image in images]

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Return uint8 [N, 3, H, W]; ValueError for a file that is no PNG."""
        return decode_pictures(blobs, "PNG")


Quality = Annotated[Whole, Field(ge=1, le=95, description="a whole number between 1 and 95")]


class JPEG:
    """Baseline JPEG with optimised Huffman tables; quality 10 and 1 are the paper's.

    Args:
        quality: 1 to 95, Pillow's scale.

    Raises:
        ValueError: a quality outside that range.
    """

    suffix = ".jpg"
    image_size = None

    @checked_options("codec.")
    def __init__(self, quality: Quality) -> None:
        self.quality = quality

    def encode(self, images: Tensor) -> list[bytes]:
        """Return N JPEG files of uint8 [N, 3, H, W]."""
        check_images(images)
        return [self._encode_one(image) for image in images]

    def _encode_one(self, image: Tensor) -> bytes:
        buffer = io.BytesIO()
        to_pillow(image).save(buffer, format="JPEG", quality=self.quality, optimize=True)
        return buffer.getvalue()

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Return uint8 [N, 3, H, W]; ValueError for a file that is no JPEG."""
        return decode_pictures(blobs, "JPEG")
