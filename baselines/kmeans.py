"""K-means colour quantisation, the paper's first baseline: a palette PNG of K colours."""

import io
from typing import Annotated

import cv2
import numpy as np
from PIL import Image
from pydantic import Field
from torch import Tensor

from baselines.pillow import decode_pictures
from ganrev.codecs.base import check_images
from ganrev.configuration.options import Count, Whole, checked_options
from ganrev.pixels import to_pillow

_CRITERIA = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 0.1)

NumColours = Annotated[Whole, Field(ge=2, le=256, description="a whole number between 2 and 256")]


class KMeans:
    """Palette images of K colours, chosen by K-means in RGB (k-means++ starts, best of `attempts`).

    Args:
        k: number of colours, 2 to 256. The paper's text says 2, its table 4.
        attempts: starts, of which the tightest is kept.
        seed: of the starts.

    Raises:
        ValueError: an option out of range.
    """

    suffix = ".png"
    image_size = None

    @checked_options("codec.")
    def __init__(self, k: NumColours, attempts: Count = 4, seed: Whole = 0) -> None:
        self.k, self.attempts, self.seed = k, attempts, seed

    def encode(self, images: Tensor) -> list[bytes]:
        """Return N palette PNG files of uint8 [N, 3, H, W]."""
        check_images(images)
        return [self._encode_one(image) for image in images]

    def _encode_one(self, image: Tensor) -> bytes:
        pixels = np.asarray(to_pillow(image)).reshape(-1, 3)
        num_colours = min(self.k, len(np.unique(pixels, axis=0)))
        cv2.setRNGSeed(self.seed)  # so that a file depends on its picture only
        room = np.empty((len(pixels), 1), np.int32)  # for the labels: OpenCV starts from centres of its own
        _, labels, centres = cv2.kmeans(
            pixels.astype(np.float32), num_colours, room, _CRITERIA, self.attempts, cv2.KMEANS_PP_CENTERS
        )
        height, width = image.shape[-2:]
        picture = Image.fromarray(labels.reshape(height, width).astype(np.uint8), mode="P")
        picture.putpalette(centres.round().astype(np.uint8).tobytes())
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG", optimize=True)
        return buffer.getvalue()

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Return uint8 [N, 3, H, W]; ValueError for a file that is no PNG."""
        return decode_pictures(blobs, "PNG")
