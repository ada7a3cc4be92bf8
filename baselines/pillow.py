"""Codecs that Pillow writes and reads: PNG, JPEG, and what the newer ones beside them share."""

import io
import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from PIL import Image, UnidentifiedImageError
from pydantic import Field
from torch import Tensor

from baselines.search import Knobs, Settings, best_file
from ganrev.codecs.base import check_blobs, check_images
from ganrev.configuration.options import Count, Number, Whole, check_option, checked_options
from ganrev.pixels import from_pillow, to_pillow, to_png

_MOST_PIXELS = 1 << 22  # of 2048 x 2048: pictures of this program have 128 x 128, or a generator's size

# What Pillow and its plug-ins raise for a file that is damaged.
_DAMAGED = (
    UnidentifiedImageError,
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    RuntimeError,
    Image.DecompressionBombError,
)


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
                _check_pixels(picture)
                pictures.append(from_pillow(picture))
        except UnidentifiedImageError as error:  # its own message names an object in memory
            begins = f"it begins with {blob[:4]!r}" if blob else "it is empty"
            raise ValueError(f"file {number} of {len(blobs)} is no {kind} file: {begins}") from error
        except _DAMAGED as error:
            raise ValueError(f"file {number} of {len(blobs)} is not a whole {kind} file: {error}") from error
    sizes = sorted({tuple(picture.shape[1:]) for picture in pictures})
    if len(sizes) > 1:
        raise ValueError(f"expected files of one size of picture, got heights and widths {sizes}; decode them apart")
    return torch.stack(pictures)


def _check_pixels(picture: Image.Image) -> None:
    """Raise ValueError for a picture that no codec here wrote, before it takes a gigabyte."""
    if math.prod(picture.size) > _MOST_PIXELS:
        raise ValueError(f"it declares {picture.width} x {picture.height} pixels, at most {_MOST_PIXELS} are decoded")


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


class LossyPicture:
    """A lossy format that Pillow or one of its plug-ins writes, by a quality or to a size.

    Args:
        quality: on the format's own scale, for which its usual settings are taken.
        target_bytes: where it is given, quality is not used: each picture gets the file not above this size whose
            picture has the smallest mean squared error, over qualities and settings.

    Attributes:
        kind: Pillow's name of the format.
        limits: smallest and largest quality.
        whole: whether a quality must be a whole number.
        usual: settings for Pillow's `save` beside the quality.
        knobs: what a search for a size turns.

    Raises:
        ValueError: a quality outside its range, no size, or a Pillow that cannot write the format.
    """

    suffix: str
    image_size: int | None = None
    kind: ClassVar[str]
    limits: ClassVar[tuple[int, int]] = (0, 100)
    whole: ClassVar[bool] = True
    usual: ClassVar[Mapping[str, object]] = {}
    knobs: ClassVar[Knobs]

    @checked_options("codec.")
    def __init__(self, quality: float, target_bytes: Count | None = None) -> None:
        low, high = self.limits
        expected = f"a {'whole number' if self.whole else 'number'} between {low} and {high}"
        field = Field(ge=low, le=high, description=expected)
        kind: object = Annotated[Whole, field] if self.whole else Annotated[Number, field]
        self.quality: float = check_option(kind, "codec.quality", quality)
        self.target_bytes = target_bytes
        self.register()
        Image.init()
        if self.kind not in Image.SAVE:
            raise ValueError(
                f"this Pillow was built without {self.kind}: install Pillow's own wheel (pip install pillow)"
            )

    @staticmethod
    def register() -> None:
        """Tell Pillow of the format where a plug-in must; ValueError where it is not installed."""

    def options(self, quality: float, settings: Settings) -> dict[str, object]:
        """Return a quality and all settings as Pillow's `save` takes them."""
        return {**settings, "quality": quality}

    def encode(self, images: Tensor) -> list[bytes]:
        """Return N files of uint8 [N, 3, H, W].

        Raises:
            ganrev.codecs.BelowFloorError: no file of a picture is as small as `target_bytes`.
        """
        check_images(images)
        return [self._encode_one(image) for image in images]

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Return uint8 [N, 3, H, W]; ValueError for a file of another format."""
        return decode_pictures(blobs, self.kind)

    def _encode_one(self, image: Tensor) -> bytes:
        picture = to_pillow(image)

        def write(quality: float, settings: Settings) -> bytes:
            buffer = io.BytesIO()
            picture.save(buffer, format=self.kind, **self.options(quality, {**self.usual, **settings}))
            return buffer.getvalue()

        if self.target_bytes is None:
            return write(self.quality, {})
        return best_file(image, self.target_bytes, self.knobs, write, lambda blob: self.decode([blob])[0])


class JPEG(LossyPicture):
    """Baseline JPEG with optimised Huffman tables; quality 10 and 1 are the paper's.

    Args:
        quality: 1 to 95, Pillow's scale.
        target_bytes: see `LossyPicture`; chroma as it is, at half and at a quarter of the size.

    Raises:
        ValueError: a quality outside that range, or no size.
    """

    suffix = ".jpg"
    kind = "JPEG"
    limits = (1, 95)
    usual: ClassVar = {"optimize": True}
    knobs = Knobs(range(1, 96), [[{"subsampling": kept} for kept in ("4:2:0", "4:2:2", "4:4:4")]])
